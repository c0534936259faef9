/**
 * Checksums of what a source gives, to its end or of its beginning.
 *
 * @module
 */

import type { ByteSource } from "../core/bytes.ts";
import type { Algorithm, Checksum } from "../core/checksum.ts";
import { turn } from "../core/time_slices.ts";
import { Pieces } from "./chunk_pipeline.ts";
import { createDigest, type Digest, PrefixDigest, type PrefixDigestOptions } from "./digest.ts";

/**
 * The piece in which bytes are read and written: large enough that a system call and a hop to a thread
 * cost little beside it, small enough that four of them are nothing.
 */
export const CHUNK_BYTES: number = 1024 * 1024;

/**
 * Reads a source to its end for its checksum.
 *
 * @param onRead called when it is read, before it is looked at for what changed meanwhile
 * @throws {FerryError} the source's errors; `io` where it changes meanwhile
 */
export async function checksumOfSource(
  source: ByteSource,
  algorithm: Algorithm,
  onRead?: () => void,
): Promise<Checksum> {
  const digest = await createDigest(algorithm);
  await feed(digest, source, Infinity);
  const checksum = digest.checksum();
  onRead?.();
  await source.assertUnchanged?.(checksum);
  return checksum;
}

/** Reads the first bytes of a source, or all of them where they are fewer. */
export async function digestPrefix(
  source: ByteSource,
  size: number,
  options: PrefixDigestOptions,
): Promise<PrefixDigest> {
  const digest = await PrefixDigest.create(options);
  await feed(digest, source, size);
  return digest;
}

/**
 * After so many bytes whoever reads a source lets everybody else have a turn, since the next piece may always be
 * there already: timers would not get one for a tenth of a second.
 */
const YIELD_BYTES = 8 * CHUNK_BYTES;

/** Feeds a digest from a source, to its end or to a limit; the next piece is read meanwhile. */
async function feed(
  digest: Digest,
  source: ByteSource,
  limit: number,
): Promise<number> {
  using pieces = new Pieces({ most: CHUNK_BYTES, digest });
  const readNext = async () => await fillPiece(source, await pieces.next(), limit - size);
  let size = 0;
  let yielded = 0;
  let reading = readNext();
  for (;;) {
    const piece = await reading;
    if (piece.length === 0) break;
    size += piece.length;
    reading = readNext();
    void pieces.pass(piece);
    if (size - yielded < YIELD_BYTES) continue;
    yielded = size;
    await turn();
  }
  await pieces.end();
  return size;
}

/** Reads until the piece is full or nothing is left: short reads would only make more system calls. */
export async function fillPiece(
  source: ByteSource,
  buffer: Uint8Array<ArrayBuffer>,
  left: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const piece = buffer.length > left ? buffer.subarray(0, left) : buffer;
  let filled = 0;
  while (filled < piece.length) {
    const count = await source.read(filled === 0 ? piece : piece.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return piece.subarray(0, filled);
}
