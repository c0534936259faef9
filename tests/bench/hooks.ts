/**
 * How long uploads take while programs run before or after them, at 1000 uploads a minute.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { type Client, connect } from "../../mod.ts";
import { Ferryd } from "../support/programs.ts";
import { type Bench, median, status, table, type Timing } from "./measure.ts";

/** The time from one upload to the next, in milliseconds: 1000 in a minute. */
const INTERVAL_MS = 60;

/** How many uploads a run has. */
const UPLOADS = 100;

/** The size of a file, in bytes. */
const SIZE = 4096;

/** By which factor an upload may take longer with `--on-stored`. */
const GOAL = 1.5;

const NONE = "ferryd";
const AFTER = "ferryd --on-stored";
const BEFORE = "ferryd --before-store";

/** A server, and what its uploads took. */
interface Contestant {
  readonly client: Client;
  readonly timing: Timing;
}

/** Times single uploads to servers with and without programs, and returns the table. */
export async function hooks(bench: Bench): Promise<string> {
  const { dir, rounds, signal } = bench;
  await using stack = new AsyncDisposableStack();
  const told = `${dir}/told`;
  const script = `${dir}/script`;
  Deno.writeTextFileSync(script, `#!/bin/sh\ncat >>"$1"\n`);
  Deno.chmodSync(script, 0o755);
  const start = async (name: string, args: string[]): Promise<Contestant> => {
    const server = stack.use(await Ferryd.start(Deno.makeTempDirSync({ dir }), args));
    const client = stack.use(await connect(server.address));
    return { client, timing: { name, seconds: [] } };
  };
  const contestants = [
    await start(NONE, []),
    await start(AFTER, ["--on-stored", `${script} ${told}`]),
    await start(BEFORE, ["--before-store", `${script} ${dir}/asked`]),
  ];
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const { client, timing } = contestants[(round + turn) % contestants.length]!;
      status(`round ${round + 1} of ${rounds}: ${timing.name}`);
      await uploadAtIntervals(client, { round, signal, seconds: timing.seconds });
    }
  }
  status("");
  const timings = contestants.map(({ timing }) => timing);
  bench.timings.push(...timings);
  const behind = rounds * UPLOADS - await linesIn(told);
  return tableOf(timings) +
    `  runs of --on-stored that were not over with the last upload: ${behind}\n`;
}

async function uploadAtIntervals(
  client: Client,
  { round, signal, seconds }: { round: number; signal: AbortSignal; seconds: number[] },
): Promise<void> {
  const began = performance.now();
  for (let number = 0; number < UPLOADS; number++) {
    await delay(Math.max(0, began + number * INTERVAL_MS - performance.now()), { signal });
    const content = crypto.getRandomValues(new Uint8Array(SIZE));
    const started = performance.now();
    await client.put(content, { as: `${round}/${number}` });
    seconds.push((performance.now() - started) / 1000);
  }
}

async function linesIn(path: string): Promise<number> {
  return (await Deno.readTextFile(path)).split("\n").length - 1;
}

function tableOf(timings: readonly Timing[]): string {
  const medianOf = ({ seconds }: Timing) => median(seconds) * 1000;
  const none = medianOf(timings.find(({ name }) => name === NONE)!);
  const rows = timings.map((timing) => {
    const sorted = timing.seconds.toSorted((a, b) => a - b);
    const p95 = sorted[Math.floor(sorted.length * 0.95)]! * 1000;
    const ms = medianOf(timing);
    return [
      timing.name,
      `${ms.toFixed(1)} ms`,
      `${p95.toFixed(1)} ms`,
      `${(ms / none).toFixed(2)}x`,
    ];
  });
  const ratio = medianOf(timings.find(({ name }) => name === AFTER)!) / none;
  const verdict = `${ratio <= GOAL ? "yes" : "NO"}, ${ratio.toFixed(2)}x`;
  return table([["", "median", "95 % within", "vs none"], ...rows]) +
    `  goal: ${AFTER} at most ${GOAL}x the time of ${NONE}: ${verdict}\n`;
}
