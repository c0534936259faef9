/**
 * Whether the file system of a directory reports each write that failed.
 *
 * Those in user space (FUSE) and of other machines may report it only where a descriptor is closed. The runtime makes
 * an awaited write by way of a second descriptor, which it closes afterwards, and drops the error of that: the write,
 * the flush and the close of the file all succeed then, while bytes are missing.
 *
 * @module
 */

import { PLATFORM } from "../core/platform.ts";
import type { Clock } from "../core/clock.ts";

/**
 * To ask for the type of a file system takes node:fs, and to load that takes as long as starting the program. So it is
 * loaded where somebody waits for the answer, or after this many questions that were not answered.
 */
const WORTH_LOADING = 32;

/** How long an answer holds, in milliseconds: another file system may be mounted there by then. */
const HOLDS_MS = 1000;

/** How many answers are remembered. */
const MAX_ANSWERS = 64;

interface Answer {
  /** Undefined where it cannot be told yet. */
  reports: boolean | undefined;
  until: number;
}

/** What is known of file systems, remembered for a moment. */
export class KnownFileSystems {
  readonly #clock: Clock;
  readonly #answers = new Map<string, Answer>();
  #loaded: typeof import("./file_system.ts") | undefined;
  #unanswered = 0;

  /** Nothing is known yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Whether the file system of a directory reports each failed write, at the latest when the file is flushed, whatever
   * the runtime does; undefined where only {@linkcode KnownFileSystems.reportsWriteErrors} can tell.
   */
  reportsWriteErrorsAtOnce(directory: string): boolean | undefined {
    const now = this.#clock.monotonic();
    const known = this.#answers.get(directory);
    if (known && now < known.until && (known.reports !== undefined || !this.#loaded)) {
      return known.reports;
    }
    if (this.#answers.size >= MAX_ANSWERS) this.#answers.clear();
    const reports = this.#look(directory);
    this.#answers.set(directory, { reports, until: now + HOLDS_MS });
    if (reports === undefined && ++this.#unanswered === WORTH_LOADING) void this.#load();
    return reports;
  }

  /** The same, with whatever it takes to tell. False where it cannot be told. */
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
      // A file system with a disk of its own fails where it is written to, also one in user space.
      return isOfDisk(Deno.statSync(directory).dev) || undefined;
    } catch {
      return undefined;
    }
  }

  async #load(): Promise<void> {
    if (mayAsk()) this.#loaded = await import("./file_system.ts");
  }
}

/** Whether Linux gave a file system a number for its disk: those without a disk have the major number 0. */
function isOfDisk(device: number): boolean {
  return Math.floor(device / 0x100) % 0x1000 !== 0;
}

/** Whether the program may ask about file systems; the runtime would ask the user otherwise. */
function mayAsk(): boolean {
  return Deno.permissions.querySync({ name: "sys", kind: "statfs" }).state === "granted";
}

/** Whether no space is left for this user on the file system of a path; false also where that cannot be told. */
export async function isFull(path: string): Promise<boolean> {
  if (!mayAsk()) return false;
  const { statfsSync } = await import("node:fs");
  try {
    return statfsSync(path).bavail === 0;
  } catch {
    return false;
  }
}
