/**
 * Lines for somebody who may lag, or not read at all: a log must not hold up what it tells of.
 *
 * @module
 */

import { delay } from "@std/async/delay";

/** How much may wait to be written, in UTF-16 units; what is more is dropped, and counted. */
const MAX_WAITING = 512 * 1024;

/**
 * How much is written at once, in bytes. A pipe takes so much as a whole or not at all (POSIX: PIPE_BUF is at least
 * 512, on Linux 4096), so that who ends meanwhile leaves no half a line there.
 */
const PIECE_BYTES = 4096;

/** The first and the longest pause after a write that failed, in milliseconds. */
const RETRY = { first: 10, longest: 1000 };

/** What lines are written to. */
export interface ByteWriter {
  /** Takes some of the bytes and tells how many; MAY take as long as it likes. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Options of {@linkcode LineWriter}. */
export interface LineWriterOptions {
  /** The line that stands where so many lines were dropped, with its line feed; none unless told otherwise. */
  dropped?: (count: number) => string;
  /** How much may wait to be written, in UTF-16 units. Default: 524288. */
  maxWaiting?: number;
}

/**
 * Writes lines in order, and lets nobody wait for it. Where they are not taken as quickly as they come, or cannot be
 * written, some wait, and those that are too many are dropped; a line in their place tells how many.
 */
export class LineWriter {
  readonly #to: ByteWriter;
  readonly #maxWaiting: number;
  /** What stands where lines were dropped. */
  dropped: (count: number) => string;
  #waiting = "";
  #dropping = 0;
  #running: Promise<void> | undefined;
  #failing = Promise.withResolvers<void>();

  /** Lines to somebody. */
  constructor(
    to: ByteWriter,
    { dropped = () => "", maxWaiting = MAX_WAITING }: LineWriterOptions = {},
  ) {
    this.#to = to;
    this.dropped = dropped;
    this.#maxWaiting = maxWaiting;
  }

  /** Writes a line, with its line feed, as soon as that is possible. */
  write(line: string): void {
    // Behind one that was dropped none is taken before that has been told.
    if (this.#dropping > 0 || this.#waiting.length + line.length > this.#maxWaiting) {
      this.#dropping++;
    } else this.#waiting += line;
    this.#running ??= this.#run();
  }

  /** Resolves when all is written, when it cannot be for now, or after so many milliseconds. */
  async flush(ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ms);
    await Promise.race([this.#running, this.#failing.promise, late.promise]);
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    while (this.#waiting !== "" || this.#dropping > 0) {
      const told = this.#dropping > 0 ? this.dropped(this.#dropping) : "";
      const bytes = new TextEncoder().encode(this.#waiting + told);
      this.#waiting = "";
      this.#dropping = 0;
      await this.#writeAll(bytes);
    }
    this.#running = undefined;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let pause = RETRY.first;
    for (let rest = bytes; rest.length > 0;) {
      try {
        rest = rest.subarray(await this.#to.write(firstLines(rest)));
        if (pause > RETRY.first) this.#failing = Promise.withResolvers();
        pause = RETRY.first;
      } catch {
        // The disk is full, or whoever has read it has gone: both may change.
        this.#failing.resolve();
        await delay(pause);
        pause = Math.min(pause * 2, RETRY.longest);
      }
    }
  }
}

/** As many whole lines as may be written at once, or one that is longer. */
function firstLines(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= PIECE_BYTES) return bytes;
  const feed = "\n".charCodeAt(0);
  const last = bytes.lastIndexOf(feed, PIECE_BYTES - 1);
  return bytes.subarray(0, (last < 0 ? bytes.indexOf(feed) : last) + 1);
}
