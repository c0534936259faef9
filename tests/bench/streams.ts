/**
 * One file over several connections at once: through a proxy that limits each connection, where they help, and without
 * it, where one connection is as fast as any number.
 *
 * @module
 */

import { isTaken } from "../../lib/files/path_lookup.ts";
import { MIB } from "../support/bytes.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, spawnFerry } from "../support/programs.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { type Bench, type Contestant, type Goal, interleave, timingTable } from "./measure.ts";

/** What the proxy lets pass in each direction of a connection: bytes a second, after so many milliseconds. */
const LINE = { rateEach: 8_000_000, delay: 20 };

/** How many bytes are moved through the proxy, and the most rounds: over one connection a round takes half a minute. */
const SLOW = { bytes: 256 * MIB, rounds: 3 };

/** How many times as fast as one stream eight have to be through the proxy, and `auto` without it. */
const GOALS = { eight: 6.5, near: 0.97 };

type Direction = "put" | "get";

/** Times uploads and downloads over one stream and over several. */
export async function streams(bench: Bench): Promise<string> {
  const slow = { ...bench, size: SLOW.bytes, rounds: Math.min(bench.rounds, SLOW.rounds) };
  let text = "";
  for (const direction of ["put", "get"] as const) {
    text += `  ${direction}, 8 MB/s for each connection, round trips of 40 ms\n`;
    text += await compared(slow, direction, ["1", "8", "auto"], {
      line: LINE,
      goals: [{ streams: "8", speed: GOALS.eight }],
    });
    text += `  ${direction}, without the proxy\n`;
    text += await compared(bench, direction, ["1", "auto"], {
      goals: [{ streams: "auto", speed: GOALS.near }],
    });
  }
  return text;
}

const nameOf = (streams: string) => `ferry --streams ${streams}`;

/** Times a direction over so many streams each. */
async function compared(
  bench: Bench,
  direction: Direction,
  counts: readonly string[],
  { line, goals }: { line?: typeof LINE; goals: { streams: string; speed: number }[] },
): Promise<string> {
  const { size, signal } = bench;
  const dir = Deno.makeTempDirSync({ dir: bench.dir });
  const root = `${dir}/root`;
  Deno.mkdirSync(root);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.removeSync(dir, { recursive: true }));
  const server = stack.use(await Ferryd.start(root));
  const address = line ? stack.use(FaultyPeer.start(server.port, line)).address : server.address;
  const [local, remote] = [`${dir}/local`, `${root}/file`];
  const [source, target] = direction === "put" ? [local, remote] : [remote, local];
  await writeRandomFile(source, size, bench);
  const args = direction === "put"
    ? ["put", local, "--as", "file"]
    : ["get", "file", "--out", local];
  const contestants = counts.map((count): Contestant => ({
    name: nameOf(count),
    tidy() {
      if (isTaken(target)) Deno.removeSync(target);
    },
    async run() {
      const child = spawnFerry([...args, "--quiet", "--streams", count], { server: address });
      await succeed(nameOf(count), child, signal);
    },
    verify() {
      if (Deno.statSync(target).size !== size) throw new Error(`${target} is not whole`);
    },
  }));
  const timings = await interleave(contestants, bench);
  const peer = nameOf("1");
  return timingTable(timings, {
    work: { amount: size / MIB, unit: "MiB" },
    goals: goals.map(({ streams, speed }): Goal => {
      return { ours: nameOf(streams), peer, ratio: { speed } };
    }),
  });
}
