/**
 * Over how many connections at once a file is moved.
 *
 * @module
 */

/** How many streams a file is moved over: a number, or `auto` for as many as make it faster. */
export type StreamCount = number | "auto";

/** Over how many streams a file is moved, over all attempts of one transfer. */
export class StreamChoice {
  #count: StreamCount;

  /** @param count how many are wanted */
  constructor(count: StreamCount) {
    this.#count = count;
  }

  /** How many are wanted now. */
  get count(): StreamCount {
    return this.#count;
  }

  /** Decides for one from now on. */
  giveUp(): void {
    this.#count = 1;
  }
}

/** The most streams of one file. */
export const MAX_STREAMS = 64;
