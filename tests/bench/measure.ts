/**
 * Timing contestants side by side, and tables.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { MIB } from "../support/bytes.ts";

/** What the cases work with. */
export interface Bench {
  /** How often each contestant runs. */
  rounds: number;
  /** The size of the large file, in bytes. */
  size: number;
  /** How many small files there are in a directory. */
  files: number;
  /** A temporary directory. */
  dir: string;
  /** The peers that there are here, by program. */
  installed: ReadonlySet<string>;
  /** Says that the user wants it to end. */
  signal: AbortSignal;
}

/** One way of doing what a case is about. */
export interface Contestant {
  /** What it is called in the table. */
  name: string;
  /** Undoes what an earlier run did; not timed. */
  tidy(): Promise<void> | void;
  /** Makes what a run begins with; not timed. */
  prepare?(): Promise<void> | void;
  /** Does it, start of the program included. */
  run(): Promise<void>;
  /** Fails unless it was done; not timed. */
  verify?(): Promise<void> | void;
}

/** How much of what a run does, so that speeds can be told. */
export interface Work {
  /** How much. */
  amount: number;
  /** Of what. */
  unit: string;
}

/** How fast something has to be. */
export interface Goal {
  /** Which of ours is compared. */
  ours: string;
  /** With what. */
  peer: string;
  /** How many times as fast it should be at least, or how many times as long it may take at most. */
  ratio: { speed: number } | { time: number };
}

/** What was measured. */
export interface Timing {
  /** The contestant. */
  name: string;
  /** The seconds that each run took. */
  seconds: number[];
}

/**
 * Runs all contestants in each round, so that whatever drifts meanwhile hits all of them, and each time
 * another one first.
 */
export async function interleave(
  contestants: readonly Contestant[],
  { rounds, size, dir, signal }: Bench,
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
  return timings;
}

/** Waits until nothing is left to be written to the disk, where the system has a program for that. */
async function drainDirtyPages(): Promise<void> {
  try {
    await new Deno.Command("sync").output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Before a run that uses less than this, nobody waits: it takes little of the time until memory is given back. */
const MUCH_MEMORY = 64 * MIB;

/** Longer than the two seconds after which Linux gives memory that was freed back to the host of a machine. */
const SETTLE_MS = 2500;

/** How many times the memory that a run uses is warmed: some of it is given back before the run gets there. */
const SPARE = 2;

/**
 * Uses more memory for files than the next run will, and frees it again. A virtual machine may have
 * given memory that was free for some seconds back to its host, and a program that then writes a file
 * pays for getting it anew: several times what the writing itself costs. What was freed before is given
 * back first, so that a run does not meet with that in its middle but has two seconds before it.
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

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Times as a table: a column for each peer shows how many times as fast as it a contestant is. */
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

/** Shows what is going on, where somebody watches; the empty text removes that. */
export function status(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

/** A number of bytes, which is a whole number of MiB. */
export function sizeText(bytes: number): string {
  const mib = bytes / MIB;
  return mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;
}
