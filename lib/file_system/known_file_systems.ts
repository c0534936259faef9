/**
 * Finds out whether the file system of a directory reports every failed write.
 *
 * FUSE and network file systems may report a failed write only when a descriptor is closed. The runtime does an
 * asynchronous write through a second descriptor, closes that afterwards, and ignores the error: then the write, the
 * flush and the close of the file all succeed although bytes are missing.
 *
 * @module
 */

import { PLATFORM } from "../core/platform.ts";
import type { Clock } from "../core/clock.ts";

/**
 * Finding out the type of a file system needs node:fs, and loading that takes as long as starting the program. So it is
 * loaded if somebody waits for the answer, or after this many unanswered questions.
 */
const WORTH_LOADING = 32;

/** How long an answer is valid, in milliseconds: afterwards another file system may be mounted there. */
const HOLDS_MS = 1000;

/** How many answers are remembered. */
const MAX_ANSWERS = 64;

interface Answer {
  /** Whether failed writes are reported; undefined if it is not known yet. */
  reports: boolean | undefined;
  until: number;
}

/** Answers about file systems, cached for a moment. */
export class KnownFileSystems {
  readonly #clock: Clock;
  readonly #answers = new Map<string, Answer>();
  #loaded: typeof import("./file_system.ts") | undefined;
  #unanswered = 0;

  /** Creates an empty cache. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Whether the file system of a directory reports each failed write, at the latest when the file is flushed, whatever
   * the runtime does; undefined if only {@linkcode KnownFileSystems.reportsWriteErrors} can find out.
   */
  reportsWriteErrorsAtOnce(directory: string): boolean | undefined {
    const now = this.#clock.monotonic();
    const known = this.#answers.get(directory);
    const holds = known && now < known.until && (known.reports !== undefined || !this.#loaded);
    const reports = holds ? known.reports : this.#look(directory);
    if (!holds) {
      if (this.#answers.size >= MAX_ANSWERS) this.#answers.clear();
      this.#answers.set(directory, { reports, until: now + HOLDS_MS });
    }
    if (reports === undefined && ++this.#unanswered === WORTH_LOADING) void this.#load();
    return reports;
  }

  /**
   * Like {@linkcode KnownFileSystems.reportsWriteErrorsAtOnce}, but loads what is needed to find out. False if it
   * cannot be found out.
   */
  async reportsWriteErrors(directory: string): Promise<boolean> {
    const known = this.reportsWriteErrorsAtOnce(directory);
    if (known !== undefined) return known;
    await this.#load();
    return this.reportsWriteErrorsAtOnce(directory) ?? false;
  }

  #look(directory: string): boolean | undefined {
    if (!PLATFORM.leadsToDescriptors) return true;
    if (this.#loaded) return this.#loaded.fileSystemAt(directory).honestWrites;
    try {
      // A file system with a block device of its own reports errors when it is written to, even a FUSE one.
      return isOfDisk(Deno.statSync(directory).dev) || undefined;
    } catch {
      return undefined;
    }
  }

  async #load(): Promise<void> {
    if (mayAsk()) this.#loaded = await import("./file_system.ts");
  }
}

/** Whether a file system is on a block device: on Linux, those without one have the major device number 0. */
function isOfDisk(device: number): boolean {
  return Math.floor(device / 0x100) % 0x1000 !== 0;
}

/** Whether the program may ask about file systems; without the permission the runtime would prompt the user. */
function mayAsk(): boolean {
  return Deno.permissions.querySync({ name: "sys", kind: "statfs" }).state === "granted";
}

/** Whether no space is left for this user on the file system of a path; false also if that cannot be found out. */
export async function isFull(path: string): Promise<boolean> {
  if (!mayAsk()) return false;
  const { spaceAt } = await import("./space.ts");
  return spaceAt(path)?.free === 0;
}
