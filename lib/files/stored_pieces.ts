/**
 * Files that come in pieces, in any order: what of them is stored beyond their first bytes.
 *
 * @module
 */

import type { SavedPrefix } from "../digest/prefix_digest.ts";

/** A piece of a file that is stored. */
export interface StoredPiece {
  /** The offset of its first byte. */
  readonly from: number;
  /** The offset behind its last byte. */
  readonly to: number;
  /** Its XXH3-128, 32 hexadecimal digits. */
  readonly xxh128: string;
}

/** A file that is written at positions. */
export interface PieceTarget {
  /** The pieces of an earlier attempt that were recorded, in ascending order; their bytes have not been looked at. */
  readonly pieces: readonly StoredPiece[];
  /**
   * Writes all bytes at an offset. The caller may reuse the array when this resolves. Calls may overlap; they take
   * effect in their order.
   *
   * @throws {FerryError} `no_space`, `quota`, `io`
   */
  writeAt(bytes: Uint8Array, offset: number): Promise<void>;
  /** Reads some bytes at an offset, and returns how many; null at the end. One call at a time. */
  readAt(into: Uint8Array<ArrayBuffer>, offset: number): Promise<number | null>;
  /**
   * Records what is stored, so that it survives the end of the process: the first bytes, and pieces beyond them in
   * ascending order.
   *
   * @throws {FerryError} `busy`, `no_space`, `io`
   */
  checkpoint(prefix: SavedPrefix, pieces: readonly StoredPiece[]): Promise<void>;
}

/** How many pieces are recorded at most: a record has to fit into a page. The others are sent again after a kill. */
export const MAX_PIECES = 24;

/** Whether a value from a record is a list of pieces behind the first `size` bytes, in ascending order. */
export function areStoredPieces(value: unknown, size: number): value is readonly StoredPiece[] {
  if (!Array.isArray(value)) return false;
  let end = 0;
  return value.every(({ from, to, xxh128 }: StoredPiece) => {
    const valid = Number.isSafeInteger(from) && Number.isSafeInteger(to) &&
      typeof xxh128 === "string" &&
      from >= end && to > from && to > size;
    end = to;
    return valid;
  });
}
