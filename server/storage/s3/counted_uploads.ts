/**
 * How many partial uploads a bucket has, and how large they are. Each of them costs a request, so they are counted now and
 * then, and nobody waits for it.
 *
 * @module
 */

import type { Clock } from "../../../lib/core/clock.ts";
import type { PartialUpload } from "../storage.ts";
import { type Amount, sumOf } from "../usage.ts";

/** For how long a count is good enough, in milliseconds. */
const KEPT_MS = 60_000;

/** Counts the partial uploads of a bucket. */
export class CountedUploads {
  readonly #listAll: () => Promise<readonly PartialUpload[]>;
  readonly #clock: Clock;
  #amount: Amount | undefined;
  /** When they are counted again, by the monotonic clock; infinite while they are being counted. */
  #due = -Infinity;

  /** @param listAll lists the partial uploads of all owners */
  constructor(listAll: () => Promise<readonly PartialUpload[]>, clock: Clock) {
    this.#listAll = listAll;
    this.#clock = clock;
  }

  /** What was counted last; undefined if that is not known. Counts them again, in the background, if it is due. */
  get amount(): Amount | undefined {
    if (this.#clock.monotonic() >= this.#due) void this.#count();
    return this.#amount;
  }

  async #count(): Promise<void> {
    this.#due = Infinity;
    try {
      const all = await this.#listAll();
      this.#amount = sumOf(all.map(({ entry }) => ({ count: 1, bytes: entry.received })));
    } catch {
      // The requests of clients tell what is wrong with the bucket.
      this.#amount = undefined;
    }
    this.#due = this.#clock.monotonic() + KEPT_MS;
  }
}
