/**
 * The headers of the pieces that a compressed connection consists of. docs/protocol/extensions/zstd.md specifies the
 * bytes.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { crc32 } from "./crc32.ts";

/** The size of the header of a piece in bytes. */
export const PIECE_HEADER_BYTES = 12;

/** The largest content of a piece, in bytes. */
export const MAX_PIECE_BYTES = 1048576;

/** How many bytes longer than its content a compressed piece may be. */
export const MAX_PIECE_GROWTH = 8192;

/** The bytes of the header that its checksum covers. */
const CHECKED_BYTES = 8;

/**
 * The kinds of pieces:
 *
 * - `raw`: the content as it is
 * - `first`: compressed, the beginning of a new frame of zstd; the one before ends without an end
 * - `next`: compressed, the continuation of the frame
 * - `forget`: empty; no piece continues the frame
 */
const KINDS = ["raw", "first", "next", "forget"] as const;

/** The header of a piece. */
export interface PieceHeader {
  /** What the bytes of the piece are. */
  readonly kind: typeof KINDS[number];
  /** How many bytes of messages the piece contains. */
  readonly content: number;
  /** How many bytes follow the header. */
  readonly size: number;
}

/** Encodes the header of a piece into the first bytes of an array. */
export function encodePieceHeader({ kind, content, size }: PieceHeader, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, PIECE_HEADER_BYTES);
  view.setUint32(0, KINDS.indexOf(kind) + content * 256, true);
  view.setUint32(4, size, true);
  view.setInt32(CHECKED_BYTES, crc32(into.subarray(0, CHECKED_BYTES)), true);
}

/**
 * Decodes the header of a piece.
 *
 * @param bytes {@linkcode PIECE_HEADER_BYTES}
 * @throws {FerryError} `checksum_mismatch` if it was damaged; `bad_header` if it is none, or exceeds a limit
 */
export function decodePieceHeader(bytes: Uint8Array): PieceHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, PIECE_HEADER_BYTES);
  if (view.getInt32(CHECKED_BYTES, true) !== crc32(bytes.subarray(0, CHECKED_BYTES))) {
    throw new FerryError("checksum_mismatch", "the header of a piece was damaged");
  }
  const kind = KINDS[view.getUint8(0)];
  const content = view.getUint32(0, true) >>> 8;
  const size = view.getUint32(4, true);
  if (kind === undefined) throw new FerryError("bad_header", "a piece is of an unknown kind");
  if (content > MAX_PIECE_BYTES || size > content + MAX_PIECE_GROWTH) {
    throw new FerryError(
      "bad_header",
      `a piece of ${size} bytes has ${content} bytes of content, more than is allowed`,
    );
  }
  const fits = kind === "forget"
    ? content === 0 && size === 0
    : content > 0 && size > 0 && (kind !== "raw" || size === content);
  if (!fits) {
    throw new FerryError("bad_header", "a piece has another size than its content");
  }
  return { kind, content, size };
}
