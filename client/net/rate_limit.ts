/**
 * A limit on how fast bytes may go, for all transfers of a program together.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { FerryError } from "../../lib/core/errors.ts";

/** What was not used for so long may be made up for: a timer that rings late costs no speed. */
const CREDIT_MS = 100;

/** How long a piece takes at least that is cut for an even flow. */
const PIECE_MS = 50;

/** No piece is cut smaller than that. */
const MIN_PIECE_BYTES = 1024;

/** What {@linkcode RateLimit} tells the time by. */
export interface Clock {
  /** Milliseconds since any fixed moment. */
  now(): number;
  /** Waits; fails with the signal's reason where it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => delay(Math.ceil(ms), signal ? { signal } : {}),
};

/** A token bucket: whoever wants to move bytes waits until they are due. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #msPerByte: number;
  /** The moment at which all that was taken is due. */
  #due: number;
  /** The largest piece that keeps the flow even; larger ones hold the rate too, but in bursts. */
  readonly pieceBytes: number;

  /**
   * A limit that nobody has used yet.
   *
   * @throws {FerryError} `usage` where the rate is not a positive number
   */
  constructor(bytesPerSecond: number, { clock = SYSTEM_CLOCK }: { clock?: Clock } = {}) {
    if (!(bytesPerSecond > 0 && Number.isFinite(bytesPerSecond))) {
      throw new FerryError("usage", "a rate is a positive number of bytes per second");
    }
    this.#clock = clock;
    this.#msPerByte = 1000 / bytesPerSecond;
    this.#due = clock.now();
    this.pieceBytes = Math.max(MIN_PIECE_BYTES, Math.floor(PIECE_MS / this.#msPerByte));
  }

  /**
   * Waits until so many bytes may have gone. Those who wait at the same time get their turns in the
   * order in which they asked.
   *
   * @throws the signal's reason where it is aborted; nothing counts as taken then
   */
  async take(count: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const cost = count * this.#msPerByte;
    const due = Math.max(this.#due, this.#clock.now() - CREDIT_MS) + cost;
    this.#due = due;
    try {
      // A timer may ring a little early.
      for (let left; (left = due - this.#clock.now()) > 0;) await this.#clock.sleep(left, signal);
    } catch (error) {
      this.#due -= cost;
      throw error;
    }
  }
}
