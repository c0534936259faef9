/**
 * A limit on the transfer rate, for all transfers of a program together.
 *
 * @module
 */

import { type Clock, sleep, SYSTEM_CLOCK } from "../../lib/core/clock.ts";
import { FerryError } from "../../lib/core/errors.ts";

/** How much unused time counts as credit, in milliseconds: a timer that fires late does not lower the rate. */
const CREDIT_MS = 100;

/** How long a piece takes at the limit, in milliseconds: larger data is cut into such pieces for an even flow. */
const PIECE_MS = 50;

/** The smallest piece that is cut, in bytes. */
const MIN_PIECE_BYTES = 1024;

/** A token bucket: {@linkcode take} waits until its bytes are due. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #msPerByte: number;
  /** The time at which all bytes that were taken are due. */
  #due: number;
  /** The largest piece that keeps the flow even; larger ones hold the rate too, but in bursts. */
  readonly pieceBytes: number;

  /**
   * A limit of which nothing is used yet.
   *
   * @throws {FerryError} `usage` where the rate is not a positive number
   */
  constructor(bytesPerSecond: number, { clock = SYSTEM_CLOCK }: { clock?: Clock } = {}) {
    if (!(bytesPerSecond > 0 && Number.isFinite(bytesPerSecond))) {
      throw new FerryError("usage", "a rate is a positive number of bytes per second");
    }
    this.#clock = clock;
    this.#msPerByte = 1000 / bytesPerSecond;
    this.#due = clock.monotonic();
    this.pieceBytes = Math.max(MIN_PIECE_BYTES, Math.floor(PIECE_MS / this.#msPerByte));
  }

  /**
   * Waits until `count` more bytes may be transferred. Concurrent callers are served in the order of their calls.
   *
   * @throws the signal's reason where it is aborted; the bytes do not count as taken then
   */
  async take(count: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const cost = count * this.#msPerByte;
    const due = Math.max(this.#due, this.#clock.monotonic() - CREDIT_MS) + cost;
    this.#due = due;
    try {
      // A timer may fire a little early.
      for (let left; (left = due - this.#clock.monotonic()) > 0;) {
        await sleep(this.#clock, left, signal);
      }
    } catch (error) {
      this.#due -= cost;
      throw error;
    }
  }
}
