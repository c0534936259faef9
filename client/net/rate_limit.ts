/**
 * A limit on how fast bytes may go, for all transfers of a program together.
 *
 * @module
 */

import { type Clock, sleep, SYSTEM_CLOCK } from "../../lib/core/clock.ts";
import { FerryError } from "../../lib/core/errors.ts";

/** What was not used for so long may be made up for: a timer that rings late costs no speed. */
const CREDIT_MS = 100;

/** How long a piece takes at least that is cut for an even flow. */
const PIECE_MS = 50;

/** No piece is cut smaller than that. */
const MIN_PIECE_BYTES = 1024;

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
    this.#due = clock.monotonic();
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
    const due = Math.max(this.#due, this.#clock.monotonic() - CREDIT_MS) + cost;
    this.#due = due;
    try {
      // A timer may ring a little early.
      for (let left; (left = due - this.#clock.monotonic()) > 0;) {
        await sleep(this.#clock, left, signal);
      }
    } catch (error) {
      this.#due -= cost;
      throw error;
    }
  }
}
