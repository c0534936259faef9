/**
 * The pieces of a compressed connection, made and read without the code of the connection.
 *
 * @module
 */

import { constants, crc32, createZstdCompress, zstdDecompressSync } from "node:zlib";
import { concat } from "./vectors.ts";

/** The kinds of pieces, by their numbers. */
const KINDS = ["raw", "first", "next", "forget"] as const;

/** A kind of piece. */
export type PieceKind = typeof KINDS[number];

const HEADER_BYTES = 12;

/** A piece with a right checksum, whatever it says. */
export function pieceOf(
  kind: PieceKind,
  content: number,
  bytes: Uint8Array = new Uint8Array(),
): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, KINDS.indexOf(kind) + content * 256, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, crc32(header.subarray(0, 8)), true);
  return concat([header, bytes]);
}

/** A piece of content as it is. */
export function rawPiece(content: Uint8Array): Uint8Array {
  return pieceOf("raw", content.length, content);
}

/** The parts of one frame of zstd, each of which can be decompressed without those behind it. */
export async function flushedParts(...contents: Uint8Array[]): Promise<Uint8Array[]> {
  const stream = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 21 } });
  let part: Uint8Array[] = [];
  stream.on("data", (bytes: Uint8Array) => part.push(bytes));
  const parts: Uint8Array[] = [];
  for (const content of contents) {
    stream.write(content);
    await new Promise<void>((resolve) => stream.flush(constants.ZSTD_e_flush, resolve));
    parts.push(concat(part));
    part = [];
  }
  stream.destroy();
  return parts;
}

/** The content of pieces; the last one may be cut, and is left out then. */
export function contentOf(pieces: Uint8Array): Uint8Array {
  const contents: Uint8Array[] = [];
  let frame: Uint8Array[] = [];
  let known = 0;
  for (let at = 0; at + HEADER_BYTES <= pieces.length;) {
    const view = new DataView(pieces.buffer, pieces.byteOffset + at, HEADER_BYTES);
    const kind = KINDS[view.getUint8(0)];
    const end = at + HEADER_BYTES + view.getUint32(4, true);
    const bytes = pieces.subarray(at + HEADER_BYTES, end);
    if (view.getUint32(8, true) !== crc32(pieces.subarray(at, at + 8)) || kind === undefined) {
      throw new Error("a piece has no right header");
    }
    if (end > pieces.length) break;
    at = end;
    if (kind === "raw") contents.push(bytes);
    if (kind === "first") [frame, known] = [[], 0];
    if (kind !== "first" && kind !== "next") continue;
    frame.push(bytes);
    // A frame without an end is decompressed as far as it goes.
    const all = zstdDecompressSync(concat(frame));
    contents.push(all.subarray(known));
    known = all.length;
  }
  return concat(contents);
}
