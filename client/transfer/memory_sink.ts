/**
 * A sink that keeps its bytes in memory.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";

/** A sink that collects bytes. */
export class MemorySink implements ByteSink {
  readonly #most: number;
  #pieces: Uint8Array[] = [];
  #size = 0;

  /** A sink for up to `most` bytes. */
  constructor(most: number) {
    this.#most = most;
  }

  /** @throws {FerryError} `too_large` */
  write(bytes: Uint8Array): Promise<void> {
    this.#size += bytes.length;
    if (this.#size > this.#most) {
      const reason = `more than ${this.#most} bytes are not gathered in memory`;
      return Promise.reject(new FerryError("too_large", reason));
    }
    this.#pieces.push(bytes.slice());
    return Promise.resolve();
  }

  /** Discards all bytes. */
  restart(): void {
    this.#pieces = [];
    this.#size = 0;
  }

  /** All bytes that were written. */
  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#size);
    let size = 0;
    for (const piece of this.#pieces) {
      all.set(piece, size);
      size += piece.length;
    }
    return all;
  }
}
