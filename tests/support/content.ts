/**
 * Content in memory that is read like a file or like what a peer sends.
 *
 * @module
 */

import type { RandomAccess } from "../../lib/delta/random_access.ts";

/** Bytes that can be read from any offset, as those of a file. */
export class ContentInMemory implements RandomAccess {
  readonly size: number;
  readonly #bytes: Uint8Array;
  readonly #most: number;
  #position = 0;

  /**
   * @param most the most bytes that one read returns. Default: as many as there are.
   * @param size what it says its size is. Default: the truth.
   */
  constructor(bytes: Uint8Array, { most = Infinity, size = bytes.length } = {}) {
    this.#bytes = bytes;
    this.#most = most;
    this.size = size;
  }

  /** Sets the offset of the next read. */
  seek(offset: number): void {
    this.#position = offset;
  }

  /** Reads some bytes; null at the end. */
  read(into: Uint8Array): Promise<number | null> {
    const piece = this.#bytes.subarray(this.#position)
      .subarray(0, Math.min(into.length, this.#most));
    into.set(piece);
    this.#position += piece.length;
    return Promise.resolve(piece.length === 0 ? null : piece.length);
  }
}

/** Bytes as they are received: reading returns 0 at the end. */
export function received(
  bytes: Uint8Array,
  most = Infinity,
): { read(into: Uint8Array): Promise<number> } {
  const content = new ContentInMemory(bytes, { most });
  return { read: async (into) => await content.read(into) ?? 0 };
}

/** Everything that a source yields, read with a buffer of a certain size. */
export async function readToEnd(
  source: { read(into: Uint8Array): Promise<number | null> },
  bufferBytes = 64 * 1024,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  while (true) {
    const buffer = new Uint8Array(bufferBytes);
    const count = await source.read(buffer);
    if (!count) return new Uint8Array(await new Blob(pieces).arrayBuffer());
    pieces.push(buffer.subarray(0, count));
  }
}
