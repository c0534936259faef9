/**
 * The sizes of blocks and of their records in signatures.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";

/** The length of the weak hash in a record, in bytes. */
export const WEAK_BYTES = 4;

/** The block size of the finest level, in bytes. */
const FINEST_BLOCK = 256;

/** How many times smaller the blocks of a level are than those of the level before. */
const LEVEL_FACTOR = 16;

/** The smallest and the largest coarse block, in bytes. */
const [MIN_COARSE, MAX_COARSE] = [2048, 4 * 1024 * 1024];

/**
 * The block size of the first level: a power of two near the double of the square root of the size, so that the
 * signature and a block that differs both grow slowly. There are at most a million blocks up to a size of 4 TiB.
 */
export function coarseBlock(size: number): number {
  const block = 2 ** Math.round(Math.log2(2 * Math.sqrt(Math.max(1, size))));
  return Math.min(MAX_COARSE, Math.max(MIN_COARSE, block));
}

/** The block size of the level behind one; undefined behind the finest one. */
export function finerBlock(block: number): number | undefined {
  return block <= FINEST_BLOCK ? undefined : Math.max(FINEST_BLOCK, block / LEVEL_FACTOR);
}

/**
 * How many bytes of the strong hash a record has, 4 to 8: one in 65,536 transfers may take a block for another one,
 * which its digest shows. Where blocks are compared at any offset, the weak hash has to be the same as well.
 *
 * @param size the size of the file in bytes
 * @param block the size of a block in bytes
 */
export function strongBytes(size: number, block: number): number {
  const blocks = Math.log2(Math.max(1, size / block));
  const alike = Math.max(blocks, Math.log2(Math.max(1, size)) + blocks - 8 * WEAK_BYTES);
  return Math.min(8, Math.max(4, Math.ceil((alike + 16) / 8)));
}

/** The most records of one signature. */
export const MAX_RECORDS = 2_097_152;

/**
 * Fails if a signature would have more than {@linkcode MAX_RECORDS} records.
 *
 * @param bytes how many bytes it is of
 * @throws {FerryError} `too_large`
 */
export function assertRecordCount(bytes: number, block: number): void {
  const count = Math.ceil(bytes / block);
  if (count <= MAX_RECORDS) return;
  throw new FerryError("too_large", `a signature has at most ${MAX_RECORDS} blocks, not ${count}`);
}
