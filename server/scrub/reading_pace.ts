/**
 * Keeps what reads in the background from slowing down everybody else.
 *
 * @module
 */

import { type Clock, sleep } from "../../lib/core/clock.ts";

/**
 * The share of the time that is spent reading and digesting, at most. Where transfers keep the disk or the processor
 * busy, each read takes longer, and so does the rest after it.
 */
const SHARE = 0.2;

/** A single read that hangs is followed by no longer rest than that, in milliseconds. */
const LONGEST_REST_MS = 60_000;

/** Shorter rests are added up, since timers have a resolution of a millisecond. */
const SHORTEST_REST_MS = 10;

/** Makes a reader rest after its reads. */
export class ReadingPace {
  readonly #clock: Clock;
  readonly #rate: number;
  /** When the present work began, on the monotonic clock. */
  #began = 0;
  /** The rest that is due, in milliseconds. */
  #due = 0;

  /** @param rate how many bytes a second are read at most; 0 for any number */
  constructor(clock: Clock, rate: number) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** Says that the work begins. */
  begin(): void {
    this.#began = this.#clock.monotonic();
  }

  /**
   * Rests for as long as the work since its beginning, or since the last rest, asks for.
   *
   * @param bytes how many were read meanwhile
   * @throws the signal's abort reason when it is aborted
   */
  async rest(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const busy = this.#clock.monotonic() - this.#began;
    const byRate = this.#rate > 0 ? bytes * 1000 / this.#rate - busy : 0;
    this.#due += Math.max(Math.min(busy * (1 / SHARE - 1), LONGEST_REST_MS), byRate);
    if (this.#due >= SHORTEST_REST_MS) {
      await sleep(this.#clock, this.#due, signal);
      this.#due = 0;
    }
    this.begin();
  }
}
