/**
 * What a process and its state directory take over time, and whether that stays the same.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { residentBytes } from "../bench/process_usage.ts";
import { text } from "../support/bytes.ts";
import { filesBelow } from "../support/programs.ts";

/** How long is waited between two looks, in milliseconds. */
const PAUSE_MS = 500;

/**
 * Into how many spans the run is divided. Only the least of each counts, since garbage that is not collected yet, and
 * transfers that are under way, come and go.
 */
const SPANS = 40;

/** A run of less than this, in milliseconds, is too short to tell whether something grows. */
const LONG_ENOUGH_MS = 10 * 60_000;

/** By which share of itself something may grow from the third to the last quarter of a run. */
const TOLERANCE = 0.1;

/** Something that is measured. */
interface Measure {
  /** What it is called. */
  readonly name: string;
  /** In what it is printed, and how much of what is measured that is. */
  readonly unit: string;
  readonly scale: number;
  /** By how much it may grow in any case. */
  readonly slack: number;
  /** What it is now; undefined if this system does not tell. */
  look(pid: number, root: string): Promise<number | undefined> | number;
}

const MIB = 1024 * 1024;

const MEASURES: readonly Measure[] = [
  {
    name: "resident memory",
    unit: "MiB",
    scale: MIB,
    slack: 8 * MIB,
    look: residentBytes,
  },
  {
    name: "open descriptors",
    unit: "",
    scale: 1,
    slack: 4,
    look: descriptorsOf,
  },
  {
    name: "staged",
    unit: "MiB",
    scale: MIB,
    slack: 8 * MIB,
    look: (_, root) => bytesBelow(`${root}/.ferry/staging`),
  },
  {
    name: "rest of .ferry",
    unit: "MiB",
    scale: MIB,
    // The caches grow up to a limit that they reach only after hours.
    slack: 64 * MIB,
    look: (_, root) => bytesBelow(`${root}/.ferry`) - bytesBelow(`${root}/.ferry/staging`),
  },
];

/** Deno itself may read `/proc` only with all permissions. */
async function descriptorsOf(pid: number): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const { stdout } = await new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).output();
  return text(stdout).trim().split("\n").length;
}

function bytesBelow(directory: string): number {
  return filesBelow(directory).reduce((sum, path) => sum + sizeOf(`${directory}/${path}`), 0);
}

function sizeOf(path: string): number {
  try {
    return Deno.lstatSync(path).size;
  } catch {
    // It has just been published.
    return 0;
  }
}

/** What was measured of one process, from its start on. */
export class Samples {
  readonly #began = performance.now();
  readonly #duration: number;
  readonly #least = new Map<Measure, (number | undefined)[]>();

  /** @param duration how long the run takes, in milliseconds */
  constructor(duration: number) {
    this.#duration = duration;
  }

  get #isLong(): boolean {
    return this.#duration >= LONG_ENOUGH_MS;
  }

  /** Measures until the signal is aborted. */
  async take(pid: number, root: string, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#look(pid, root);
      await delay(PAUSE_MS, { signal: stop }).catch(() => {});
    }
  }

  async #look(pid: number, root: string): Promise<void> {
    for (const measure of MEASURES) {
      let now: number | undefined;
      try {
        now = await measure.look(pid, root);
      } catch (error) {
        // A directory that was just removed.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      const span = Math.floor((performance.now() - this.#began) / this.#duration * SPANS);
      if (span >= SPANS) return;
      if (now === undefined) continue;
      const least = this.#least.get(measure) ?? Array.from({ length: SPANS }, () => undefined);
      this.#least.set(measure, least);
      least[span] = Math.min(now, least[span] ?? Infinity);
    }
  }

  /** A line for each measure: its third and its last quarter, and if that says something, how much it is in an hour. */
  *lines(): Generator<string> {
    for (const [{ name, unit, scale }, least] of this.#least) {
      const { third, last } = secondHalf(least);
      const inUnits = (value: number) => `${(value / scale).toFixed(1)} ${unit}`.trimEnd();
      const hourly = (last - third) * 3_600_000 / (this.#duration / 4);
      const slope = `, ${hourly < 0 ? "" : "+"}${inUnits(hourly)} an hour`;
      yield `${name.padEnd(20)}third quarter ${inUnits(third)}, last ${inUnits(last)}` +
        (this.#isLong ? slope : "");
    }
  }

  /** What has grown, if the run was long enough to tell. */
  *problems(): Generator<string> {
    if (!this.#isLong) return;
    for (const [{ name, slack }, least] of this.#least) {
      const { third, last } = secondHalf(least);
      if (last - third > Math.max(slack, third * TOLERANCE)) yield `${name} grows: see above`;
    }
  }
}

/**
 * How something has changed in the second half of a run: its mean in the third and in the last quarter, between the
 * middles of which is a quarter of the run.
 */
function secondHalf(least: readonly (number | undefined)[]): { third: number; last: number } {
  const mean = (from: number, to: number) => {
    const values = least.slice(from, to).filter((value) => value !== undefined);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const quarter = least.length / 4;
  return { third: mean(2 * quarter, 3 * quarter), last: mean(3 * quarter, 4 * quarter) };
}
