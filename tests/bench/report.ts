/**
 * What the benchmark has measured, as a file: docs/performance.md and the picture of speed are made of it.
 *
 * @module
 */

import { cpus, release, totalmem } from "node:os";
import { median, type Timing } from "./measure.ts";

/** What was measured, each case on the machine and with the programs that it names. */
export interface Report {
  /** The cases by their names. */
  cases: Record<string, MeasuredCase>;
}

/** What a case has come to. */
export interface MeasuredCase {
  /** The line above its table. */
  title: string;
  /** The command that measured it. */
  command: string;
  /** The day: `2026-01-31`. */
  date: string;
  /** Processor, memory and kernel. */
  machine: string;
  /** The programs with their versions; ferry first. */
  programs: string[];
  /** What was printed. */
  table: string;
  /** The median of each contestant in seconds, where contestants ran alternately. */
  medians: { name: string; seconds: number }[];
}

/** The machine that this runs on. */
export function machine(): string {
  const all = cpus();
  const memory = Math.round(totalmem() / 1024 ** 3);
  return `${all.length} x ${all[0]?.model.trim()}, ${memory} GiB, Linux ${release()}`;
}

/** The medians of what was timed. */
export function mediansOf(timings: readonly Timing[]): MeasuredCase["medians"] {
  return timings.map(({ name, seconds }) => ({
    name,
    seconds: Number(median(seconds).toPrecision(3)),
  }));
}

/** Reads a report; an empty one where there is none. */
export function readReport(path: string | URL): Report {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { cases: {} };
    throw error;
  }
}

/** Puts a case into a report, in place of an earlier measurement of it. */
export function record(path: string, name: string, measured: MeasuredCase): void {
  const { cases } = readReport(path);
  cases[name] = measured;
  Deno.writeTextFileSync(path, JSON.stringify({ cases }, null, 2) + "\n");
}
