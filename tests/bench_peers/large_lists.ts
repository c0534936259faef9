/**
 * What a list, a removal and a comparison of very many entries cost others: how long they wait for an answer
 * meanwhile, and how much memory it takes that nobody reads such lists.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { createHash } from "node:crypto";
import { Ferryd } from "../programs.ts";
import { RawPeer } from "../raw_peer.ts";
import { type Bench, MIB, status, table } from "./measure.ts";
import { residentBytes, ticks } from "./process_facts.ts";

const ENTRIES = 100_000;

/** How many ask for a list and do not read it. */
const READERS = 100;

/** The most that these may add to the server's memory, and the longest that 99 of 100 pings may take. */
const GOAL = { bytes: 64 * MIB, ms: 50 };

/** How many times in a row, a second apart, the server has to have done next to nothing to be waiting for readers. */
const IDLE_LOOKS = 3;

/** Measures both. */
export async function largeLists({ dir, signal }: Bench): Promise<string> {
  const home = Deno.makeTempDirSync({ dir });
  try {
    const root = `${home}/root`;
    Deno.mkdirSync(`${root}/d`, { recursive: true });
    for (let i = 0; i < ENTRIES; i++) {
      if (i % 10_000 === 0) {
        status(`${i} files`);
        signal.throwIfAborted();
      }
      const path = `${root}/${nameOf(i)}`;
      Deno.writeTextFileSync(path, "");
    }
    await using server = await Ferryd.start(root, ["--durability", "none", "--idle-timeout", "1h"]);
    const rows = [["while", "seconds", "pings", "p50", "p99", "longest"]];
    let worst = 0;
    const measure = async (what: string, run: (peer: RawPeer) => Promise<void>) => {
      status(what);
      signal.throwIfAborted();
      const { seconds, pings } = await pingsWhile(server, run);
      const at = (part: number) => pings[Math.floor((pings.length - 1) * part)] ?? 0;
      if (what !== "nothing") worst = Math.max(worst, at(.99));
      const shown = [at(.5), at(.99), at(1)].map((ms) => `${ms.toFixed(1)} ms`);
      rows.push([what, seconds.toFixed(1), `${pings.length}`, ...shown]);
    };
    await measure("nothing", () => delay(3000));
    await measure("a list of 100,000", (peer) => whole(peer, { op: "list", filename: "d" }));
    await measure("a comparison of 100,000", compare);
    const memory = await unread(server);
    await measure(
      "a removal of 100,000",
      (peer) => whole(peer, { op: "remove", filename: "d", recursive: true }),
    );
    const reached = (yes: boolean) => yes ? "yes" : "NO";
    return `${table(rows)}  goal: 99 of 100 pings meanwhile within ${GOAL.ms} ms: ` +
      `${reached(worst < GOAL.ms)}, ${worst.toFixed(1)} ms\n` +
      `  goal: ${READERS} that do not read such a list take at most ${
        GOAL.bytes / MIB
      } MiB more: ` +
      `${reached(memory <= GOAL.bytes)}, ${(memory / MIB).toFixed(0)} MiB\n`;
  } finally {
    status("");
    Deno.removeSync(home, { recursive: true });
  }
}

/** How long somebody waits who pings again and again while something runs, in milliseconds, the shortest first. */
async function pingsWhile(
  server: Ferryd,
  run: (peer: RawPeer) => Promise<void>,
): Promise<{ seconds: number; pings: number[] }> {
  const port = portOf(server);
  using peer = await RawPeer.connect(port);
  const started = performance.now();
  let ended = false;
  const running = run(peer).finally(() => ended = true);
  const pings: number[] = [];
  while (!ended) {
    const asked = performance.now();
    using other = await RawPeer.connect(port);
    await other.send({ op: "ping" });
    await other.receive();
    pings.push(performance.now() - asked);
    await delay(5);
  }
  await running;
  return { seconds: (performance.now() - started) / 1000, pings: pings.sort((a, b) => a - b) };
}

function nameOf(file: number): string {
  return `d/file-${String(file).padStart(6, "0")}`;
}

function portOf({ address }: Ferryd): number {
  return Number(address.split(":").at(-1));
}

/** Sends a request and reads all of the reply. */
async function whole(peer: RawPeer, ...request: Parameters<RawPeer["send"]>): Promise<void> {
  const sending = peer.send(...request);
  const reply = await peer.receive();
  if (reply?.header.status !== "ok") throw new Error(`the server says ${Deno.inspect(reply)}`);
  if (reply.header.total_size === null) {
    for (let piece; (piece = await peer.receive()) && piece.header.end !== true;);
  }
  await sending;
}

/** Compares as many files, all of which have another size. */
async function compare(peer: RawPeer): Promise<void> {
  const lines = Array.from(
    { length: ENTRIES },
    (_, file) => JSON.stringify({ filename: nameOf(file), size: 1, mtime: 0 }) + "\n",
  ).join("");
  const md5 = createHash("md5").update(lines).digest("hex");
  const header = { op: "compare", overwrite: "different", md5, total_size: lines.length };
  await whole(peer, header, lines);
}

/** By how many bytes the server's memory grows, at most, while many ask for a list and do not read it. */
async function unread(server: Ferryd): Promise<number> {
  status(`${READERS} that do not read`);
  const before = await residentBytes(server.pid) ?? 0;
  const peers: RawPeer[] = [];
  try {
    for (let i = 0; i < READERS; i++) {
      const peer = await RawPeer.connect(portOf(server));
      peers.push(peer);
      await peer.send({ op: "list", filename: "d" });
    }
    let most = 0;
    let [idle, busy] = [0, await ticks(server.pid)];
    while (idle < IDLE_LOOKS) {
      await delay(1000);
      most = Math.max(most, await residentBytes(server.pid) ?? 0);
      const now = await ticks(server.pid);
      idle = now - busy <= 2 ? idle + 1 : 0;
      busy = now;
    }
    return most - before;
  } finally {
    for (const peer of peers) peer[Symbol.dispose]();
  }
}
