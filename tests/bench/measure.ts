/**
 * Times contestants alternately, and prints tables.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { MIB } from "../support/bytes.ts";

/** The settings of all cases. */
export interface Bench {
  /** How often each contestant runs. */
  rounds: number;
  /** The size of the large file, in bytes. */
  size: number;
  /** How many small files there are in a directory. */
  files: number;
  /** The size of a sparse file of which deltas are made as well, in bytes; 0 for none. */
  sparse: number;
  /** A temporary directory. */
  dir: string;
  /** The programs to compare with that are installed. */
  installed: ReadonlySet<string>;
  /** What {@linkcode interleave} has timed so far in the present case. */
  timings: Timing[];
  /** Aborted when the user interrupts the benchmark. */
  signal: AbortSignal;
}

/** One way of performing the task of a case. */
export interface Contestant {
  /** Its name in the table. */
  name: string;
  /** Removes the result of an earlier run; not timed. */
  tidy(): Promise<void> | void;
  /** Prepares a run; not timed. */
  prepare?(): Promise<void> | void;
  /** Performs the task, including the start of the program. */
  run(): Promise<void>;
  /** Throws unless it was done correctly; not timed. */
  verify?(): Promise<void> | void;
}

/** The amount of work in a run, from which speeds are computed. */
export interface Work {
  /** The amount. */
  amount: number;
  /** Its unit. */
  unit: string;
}

/** A goal for a speed. */
export interface Goal {
  /** The name of our contestant. */
  ours: string;
  /** The name of the contestant to compare it with. */
  peer: string;
  /** The minimum ratio of the speeds, or the maximum ratio of the times. */
  ratio: { speed: number } | { time: number };
}

/** The measurements of a contestant. */
export interface Timing {
  /** The name of the contestant. */
  name: string;
  /** The seconds that each run took. */
  seconds: number[];
}

/**
 * Runs all contestants in each round, each time in another order, so that any drift affects all of them.
 */
export async function interleave(
  contestants: readonly Contestant[],
  { rounds, size, dir, signal, timings: all }: Bench,
): Promise<Timing[]> {
  const timings = contestants.map(({ name }): Timing => ({ name, seconds: [] }));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (round + turn) % contestants.length;
      const { name, tidy, prepare, run, verify } = contestants[index]!;
      status(`round ${round + 1} of ${rounds}: ${name}`);
      await tidy();
      await prepare?.();
      await drainDirtyPages();
      await warmMemory(`${dir}/warm`, size, signal);
      signal.throwIfAborted();
      const started = performance.now();
      await run();
      timings[index]!.seconds.push((performance.now() - started) / 1000);
      await verify?.();
      await tidy();
    }
  }
  status("");
  all.push(...timings);
  return timings;
}

/** Waits until no dirty pages are left to write to the disk, where the system has a program for that. */
async function drainDirtyPages(): Promise<void> {
  try {
    await new Deno.Command("sync").output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** No warm-up is done for a run that uses less memory than this: it is hardly affected. */
const MUCH_MEMORY = 64 * MIB;

/** This is longer than the two seconds after which Linux returns freed memory to the host of a virtual machine. */
const SETTLE_MS = 2500;

/** By which factor more memory is warmed up than a run uses: some of it is returned before the run gets there. */
const SPARE = 2;

/**
 * Fills the page cache with more than the next run will use, and frees it again. A virtual machine may have returned
 * memory that was free for some seconds to its host. A program that then writes a file pays for getting it back, which
 * takes several times as long as the write itself. Memory that was freed earlier is returned first, so this waits for
 * that: it must not happen in the middle of a run.
 */
async function warmMemory(path: string, size: number, signal: AbortSignal): Promise<void> {
  if (size >= MUCH_MEMORY) await delay(SETTLE_MS, { signal });
  try {
    using file = await Deno.open(path, { write: true, create: true });
    const piece = new Uint8Array(MIB);
    for (let left = size * SPARE; left > 0;) left -= await file.write(piece.subarray(0, left));
  } finally {
    await Deno.remove(path);
  }
}

/** The median. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Times as a table: a column for each peer shows how many times as fast a contestant is. */
export function timingTable(
  timings: readonly Timing[],
  { work, goals }: { work: Work; goals: readonly Goal[] },
): string {
  const medians = new Map(timings.map(({ name, seconds }) => [name, median(seconds)]));
  const peers = [...medians.keys()]
    .filter((name) => !name.startsWith("ferry") || goals.some(({ peer }) => peer === name));
  const ratio = (name: string, peer: string) => medians.get(peer)! / medians.get(name)!;
  const rows = timings.map(({ name, seconds }) => [
    name,
    `${medians.get(name)!.toFixed(2)} s`,
    `${Math.min(...seconds).toFixed(2)}-${Math.max(...seconds).toFixed(2)} s`,
    `${(work.amount / medians.get(name)!).toFixed(0)} ${work.unit}/s`,
    ...peers.map((peer) => `${ratio(name, peer).toFixed(2)}x`),
  ]);
  const verdicts = goals.map((goal) => `  goal: ${verdict(goal, medians)}\n`);
  const head = ["", "median", "min-max", "speed", ...peers.map((peer) => `vs ${peer}`)];
  return table([head, ...rows]) + verdicts.join("");
}

function verdict({ ours, peer, ratio }: Goal, medians: ReadonlyMap<string, number>): string {
  const speed = (medians.get(peer) ?? NaN) / (medians.get(ours) ?? NaN);
  const [wanted, value, reached] = "speed" in ratio
    ? [`at least ${ratio.speed}x as fast as`, speed, speed >= ratio.speed]
    : [`at most ${ratio.time}x the time of`, 1 / speed, 1 / speed <= ratio.time];
  const result = Number.isNaN(value)
    ? "not compared"
    : `${reached ? "yes" : "NO"}, ${value.toFixed(2)}x`;
  return `${ours} ${wanted} ${peer}: ${result}`;
}

/** Rows as lines: the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    );
    return `  ${cells.join("  ")}\n`;
  }).join("");
}

/** Shows the current step on a terminal; the empty text removes it. */
export function status(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

/** A number of bytes, which is a whole number of MiB, as text. */
export function sizeText(bytes: number): string {
  const mib = bytes / MIB;
  return mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;
}
