/**
 * How large the parts of a file are. The parts of a file of known size have one size, whoever writes them: a part that
 * is uploaded twice, by two writers of one upload, has the same content both times.
 *
 * @module
 */

import { CHECKPOINT_BYTES } from "../../../lib/files/partial_file.ts";

/** The size of the parts of most files, in bytes. A file up to this size is stored by one request. */
export const PART_BYTES: number = 2 * CHECKPOINT_BYTES;

/** How many parts a file of known size has at most. Stores allow 10000. */
const MOST_PARTS = 9000;

/** The sizes of the parts of a stream, in bytes: the first so many parts have the first size, and so on. */
const STREAM_PARTS = [
  { upTo: 2000, bytes: PART_BYTES },
  { upTo: 4000, bytes: 2 * PART_BYTES },
  { upTo: 10_000, bytes: 8 * PART_BYTES },
] as const;

/** The longest stream, in bytes. */
export const MAX_STREAM_BYTES: number = PART_BYTES * (2000 + 2 * 2000 + 8 * 6000);

/** The size of each part of a file of known size, in bytes; the last one may be smaller. A multiple of a checkpoint. */
export function partBytesOf(size: number): number {
  const least = Math.ceil(size / MOST_PARTS / CHECKPOINT_BYTES) * CHECKPOINT_BYTES;
  return Math.max(PART_BYTES, least);
}

/** The size of each part that is not the last one of a file, in bytes, by its number; `size` is null for a stream. */
export function fullPartBytes(size: number | null, number: number): number {
  return size === null ? streamPartBytes(number) : partBytesOf(size);
}

/** How many full parts end right there in a file; undefined if that is in the middle of a part, or the start. */
export function partsUpTo(size: number | null, bytes: number): number | undefined {
  let parts = 0;
  let left = bytes;
  for (; left > 0; parts++) left -= fullPartBytes(size, parts + 1);
  return left === 0 && parts > 0 ? parts : undefined;
}

/** The size of the part of a stream with that number, in bytes. The first part has the number 1. */
export function streamPartBytes(number: number): number {
  return (STREAM_PARTS.find(({ upTo }) => number <= upTo) ?? STREAM_PARTS.at(-1)!).bytes;
}
