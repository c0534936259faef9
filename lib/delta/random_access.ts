/**
 * Content that can be read from any offset, such as a local file.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";

/** Content of a known size that can be read from any offset. */
export interface RandomAccess {
  /** Its size in bytes. */
  readonly size: number;
  /** Sets the offset of the next read. */
  seek(offset: number): void;
  /** Reads some bytes into `into`, and returns how many; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
}

/**
 * Fills an array with the bytes at an offset.
 *
 * @throws {FerryError} `io` if the content ends before
 */
export async function readAt(
  content: RandomAccess,
  offset: number,
  into: Uint8Array,
): Promise<void> {
  content.seek(offset);
  for (let filled = 0; filled < into.length;) {
    const count = await content.read(into.subarray(filled));
    if (count === null || count === 0) throw new FerryError("io", "it shrank while it was read");
    filled += count;
  }
}
