/**
 * A sink for what a client downloads.
 *
 * @module
 */

/** Collects everything that a server writes of a file. */
export class Received {
  #size = 0;
  readonly #bytes: Uint8Array;

  /** @param size the most bytes that come */
  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
  }

  /** Takes the next bytes. */
  write(bytes: Uint8Array): Promise<void> {
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
    return Promise.resolve();
  }

  /** Everything so far. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }
}
