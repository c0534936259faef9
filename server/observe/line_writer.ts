/**
 * Writes lines to a reader that may be slow, or not read at all, without making the writer wait.
 *
 * @module
 */

import { delay } from "@std/async/delay";

/** The maximum length of the queued lines, in UTF-16 code units. Lines beyond that are dropped and counted. */
const MAX_WAITING = 512 * 1024;

/**
 * How much is written at once, in bytes. Writes to a pipe of up to PIPE_BUF (at least 512, on Linux 4096) are atomic,
 * so that a program that ends meanwhile does not leave half a line.
 */
const PIECE_BYTES = 4096;

/** The first and the longest pause after a failed write, in milliseconds. */
const RETRY = { first: 10, longest: 1000 };

/** Where lines are written. */
export interface ByteWriter {
  /** Writes some of the bytes and returns how many. It may take any time. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Options of {@linkcode LineWriter}. */
export interface LineWriterOptions {
  /** Returns the line, with its line feed, that replaces dropped lines. Default: undefined, no line replaces them. */
  dropped?: (count: number) => string;
  /** The maximum length of the queued lines, in UTF-16 code units. Default: 524288. */
  maxWaiting?: number;
  /**
   * For how long lines are gathered after others were written, in milliseconds, so that many lines take few writes. A
   * line that comes later is written immediately. Default: 0.
   */
  gather?: number;
}

/**
 * Writes lines in order without making the caller wait. Lines that cannot be written yet are kept; when there are too
 * many, further ones are dropped, and a line in their place says how many.
 */
export class LineWriter {
  readonly #to: ByteWriter;
  readonly #maxWaiting: number;
  readonly #gather: number;
  /** Returns the line that replaces dropped lines. */
  dropped: (count: number) => string;
  #waiting = "";
  #dropping = 0;
  #running: Promise<void> | undefined;
  #failing = Promise.withResolvers<void>();
  #flushing = 0;
  /** Ends the time in which lines are gathered. */
  #hurry: (() => void) | undefined;

  /** @param to where the lines go */
  constructor(
    to: ByteWriter,
    { dropped = () => "", maxWaiting = MAX_WAITING, gather = 0 }: LineWriterOptions = {},
  ) {
    this.#to = to;
    this.dropped = dropped;
    this.#maxWaiting = maxWaiting;
    this.#gather = gather;
  }

  /** Writes a line, which ends with a line feed, as soon as possible. */
  write(line: string): void {
    // After a dropped line, none is accepted until the line about it was written.
    if (this.#dropping > 0 || this.#waiting.length + line.length > this.#maxWaiting) {
      this.#dropping++;
    } else this.#waiting += line;
    this.#running ??= this.#run();
  }

  /** Resolves when everything is written, when a write has failed, or after `ms` milliseconds. */
  async flush(ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ms);
    this.#flushing++;
    this.#hurry?.();
    await Promise.race([this.#running, this.#failing.promise, late.promise]);
    this.#flushing--;
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    while (this.#waiting !== "" || this.#dropping > 0) {
      const told = this.#dropping > 0 ? this.dropped(this.#dropping) : "";
      const bytes = new TextEncoder().encode(this.#waiting + told);
      this.#waiting = "";
      this.#dropping = 0;
      await this.#writeAll(bytes);
      if (this.#gather > 0 && this.#flushing === 0) await this.#pause();
    }
    this.#running = undefined;
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#gather);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#hurry = undefined;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let pause = RETRY.first;
    for (let rest = bytes; rest.length > 0;) {
      try {
        rest = rest.subarray(await this.#to.write(firstLines(rest)));
        if (pause > RETRY.first) this.#failing = Promise.withResolvers();
        pause = RETRY.first;
      } catch {
        // The disk is full, or the reader is gone: both may be temporary.
        this.#failing.resolve();
        await delay(pause);
        pause = Math.min(pause * 2, RETRY.longest);
      }
    }
  }
}

/** As many whole lines as may be written at once, or only the first one if it is longer. */
function firstLines(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= PIECE_BYTES) return bytes;
  const feed = "\n".charCodeAt(0);
  const last = bytes.lastIndexOf(feed, PIECE_BYTES - 1);
  return bytes.subarray(0, (last < 0 ? bytes.indexOf(feed) : last) + 1);
}
