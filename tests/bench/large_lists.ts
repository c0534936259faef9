/**
 * The cost of a list, a removal and a comparison of very many entries for other clients: how long they wait for a reply
 * meanwhile, and how much memory is used where nobody reads such lists.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { createHash } from "node:crypto";
import { Ferryd } from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { type Bench, status, table } from "./measure.ts";
import { residentBytes } from "./process_usage.ts";
import { MIB } from "../support/bytes.ts";

const ENTRIES = 100_000;

/** How many clients request a list and do not read it. */
const READERS = 100;

/** The most that these may add to the server's memory, and the 99th percentile of pings, in milliseconds. */
const GOAL = { bytes: 64 * MIB, ms: 50 };

/** How many seconds the memory is watched: filling the socket buffers of each connection takes a while. */
const LOOKS = 40;

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
    const start = () => Ferryd.start(root, ["--durability", "none", "--idle-timeout", "1h"]);
    const rows = [["while", "seconds", "pings", "p50", "p99", "longest"]];
    let worst = 0;
    const measure = async (what: string, run: (peer: RawPeer) => Promise<void>) => {
      status(what);
      signal.throwIfAborted();
      await using server = await start();
      const { seconds, pings } = await pingsWhile(server, run);
      const at = (part: number) => pings[Math.floor((pings.length - 1) * part)] ?? 0;
      if (what !== "nothing") worst = Math.max(worst, at(.99));
      const shown = [at(.5), at(.99), at(1)].map((ms) => `${ms.toFixed(1)} ms`);
      rows.push([what, seconds.toFixed(1), `${pings.length}`, ...shown]);
    };
    await measure("nothing", () => delay(3000));
    await measure("a list of 100,000", (peer) => whole(peer, { op: "list", filename: "d" }));
    const manifest = manifestOf(ENTRIES);
    await measure("a comparison of 100,000", (peer) => whole(peer, ...manifest));
    const memory = await unread(start);
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

/** The round-trip times in milliseconds of repeated pings while something runs, sorted. */
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

/** Sends a request and reads the whole reply. */
async function whole(peer: RawPeer, ...request: Parameters<RawPeer["send"]>): Promise<void> {
  const sending = peer.send(...request);
  const reply = await peer.receive();
  if (reply?.header.status !== "ok") throw new Error(`the server says ${Deno.inspect(reply)}`);
  if (reply.header.total_size === null) {
    for (let piece; (piece = await peer.receive()) && piece.header.end !== true;);
  }
  await sending;
}

/** The request that compares files, all with another size than the server's. */
function manifestOf(count: number): [Record<string, unknown>, Uint8Array] {
  const lines = Array.from(
    { length: count },
    (_, file) => JSON.stringify({ filename: nameOf(file), size: 1, mtime: 0 }) + "\n",
  );
  const body = new TextEncoder().encode(lines.join(""));
  const md5 = createHash("md5").update(body).digest("hex");
  return [{ op: "compare", overwrite: "different", md5, total_size: body.length }, body];
}

/** The growth of a server's memory in bytes while many clients request a list and do not read it. */
async function unread(start: () => Promise<Ferryd>): Promise<number> {
  status(`${READERS} that do not read`);
  await using server = await start();
  const before = await residentBytes(server.pid) ?? 0;
  const peers: RawPeer[] = [];
  try {
    for (let i = 0; i < READERS; i++) {
      const peer = await RawPeer.connect(portOf(server));
      peers.push(peer);
      await peer.send({ op: "list", filename: "d" });
    }
    let most = 0;
    for (let look = 0; look < LOOKS; look++) {
      await delay(1000);
      most = Math.max(most, await residentBytes(server.pid) ?? 0);
    }
    return most - before;
  } finally {
    for (const peer of peers) peer[Symbol.dispose]();
  }
}
