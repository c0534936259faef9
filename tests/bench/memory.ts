/**
 * How much memory ferry's programs use, and whether that depends on the size of the file.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, spawnFerry } from "../support/programs.ts";
import { type Bench, median, sizeText, status, table } from "./measure.ts";
import { peakResidentBytes } from "./process_usage.ts";
import { MIB } from "../support/bytes.ts";

const SMALL = MIB;
const LARGE = 4096 * MIB;

/** The small transfer is repeated: a single peak says little about a program with garbage collection. */
const SMALL_RUNS = 3;

/** The most that the size of a file may add to the peak memory of either program. */
const GOAL_BYTES = 32 * MIB;

const POLL_MS = 10;

/** Peaks of resident memory in bytes. */
interface Peaks {
  client: number;
  server: number;
}

/** Compares the peaks for a small file and for a large one. */
export async function memory(bench: Bench): Promise<string> {
  if (await peakResidentBytes(Deno.pid) === undefined) {
    return "  not measured: this system has no /proc\n";
  }
  const rows = [["", sizeText(SMALL), sizeText(LARGE), "more"]];
  let most = 0;
  for (const direction of ["put", "get"] as const) {
    const small: Peaks[] = [];
    for (let i = 0; i < SMALL_RUNS; i++) small.push(await peaks(bench, direction, SMALL));
    const large = await peaks(bench, direction, LARGE);
    for (const side of ["client", "server"] as const) {
      const usual = median(small.map((run) => run[side]));
      const more = large[side] - usual;
      most = Math.max(most, more);
      const cells = [usual, large[side], more].map((bytes) => `${(bytes / MIB).toFixed(0)} MiB`);
      rows.push([`${direction}, ${side}`, ...cells]);
    }
  }
  const reached = most <= GOAL_BYTES ? "yes" : "NO";
  return `${table(rows)}  goal: at most ${sizeText(GOAL_BYTES)} more: ${reached}\n`;
}

/** One transfer of a sparse file of zeros, with a new server and client. */
async function peaks(
  { dir, signal }: Bench,
  direction: "put" | "get",
  size: number,
): Promise<Peaks> {
  status(`${direction} of ${sizeText(size)}`);
  const home = Deno.makeTempDirSync({ dir });
  try {
    const root = `${home}/root`;
    Deno.mkdirSync(root);
    const local = `${home}/local`;
    const remote = `${root}/remote`;
    const [source, target] = direction === "put" ? [local, remote] : [remote, local];
    {
      using file = Deno.openSync(source, { write: true, createNew: true });
      file.truncateSync(size);
    }
    await using server = await Ferryd.start(root);
    const args = direction === "put"
      ? ["put", local, "--as", "remote"]
      : ["get", "remote", "--out", local];
    const client = await peakOf(spawnFerry(args, { server: server.address }), signal);
    if (Deno.statSync(target).size !== size) throw new Error(`${direction}: the size is wrong`);
    return { client, server: await peakResidentBytes(server.pid) ?? 0 };
  } finally {
    status("");
    Deno.removeSync(home, { recursive: true });
  }
}

/** Runs a program to its end and returns its peak memory in bytes. */
export async function peakOf(child: Deno.ChildProcess, signal: AbortSignal): Promise<number> {
  let peak = 0;
  let running = true;
  const watching = (async () => {
    // The system's peak value never decreases, so only growth in the last few milliseconds can be missed.
    while (running) {
      await delay(POLL_MS);
      peak = await peakResidentBytes(child.pid) ?? peak;
    }
  })();
  try {
    await succeed("ferry", child, signal);
    return peak;
  } finally {
    running = false;
    await watching;
  }
}
