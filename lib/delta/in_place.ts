/**
 * Compares two files block by block, each with the one at the same offset.
 *
 * @module
 */

import { Copies } from "./copies.ts";
import { type RandomAccess, readAt } from "./random_access.ts";
import { readEnd, readRecords, type SignatureReply } from "./signature.ts";
import { startsWith, type StrongHash } from "./strong_hash.ts";

/** How much of the local file is read at once, in bytes, if blocks are not larger. */
const CHUNK_BYTES = 1024 * 1024;

/** Options of {@linkcode compareInPlace}. */
export interface InPlaceOptions {
  /** The size of a block in bytes. */
  block: number;
  /** Hashes the blocks. */
  hash: StrongHash;
  /** Gets every byte of the local file in order. The bytes are valid until it resolves. */
  onBytes?: ((piece: Uint8Array<ArrayBuffer>) => void | Promise<void>) | undefined;
  /** Is told how many bytes are the same so far. */
  onFound?: ((bytes: number) => void) | undefined;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

/**
 * Finds the blocks that a local and a remote file have in common at the same offsets.
 *
 * @param reply a signature of all of the remote file, with strong hashes only
 * @returns the common parts, with the same offset in both files
 * @throws {FerryError} `bad_header` if the signature is not as long as it has to be, `io` if the local file cannot be
 * read or is shorter than it was; what the reply fails with
 */
export async function compareInPlace(
  local: RandomAccess,
  reply: SignatureReply,
  { block, hash, onBytes, onFound, signal }: InPlaceOptions,
): Promise<Copies> {
  const same = new Copies();
  const chunk = Math.max(CHUNK_BYTES, block);
  const needed = onBytes ? local.size : Math.min(local.size, reply.size);
  const records = new Uint8Array(chunk / block * reply.strong);
  // While one chunk is hashed, the next one is read.
  const buffers = [new Uint8Array(chunk), new Uint8Array(chunk)] as const;
  const fill = async (start: number) => {
    const bytes = buffers[start / chunk % 2]!.subarray(0, local.size - start);
    await readAt(local, start, bytes);
    return bytes;
  };
  let next: Promise<Uint8Array<ArrayBuffer>> | undefined;
  try {
    if (needed > 0) next = fill(0);
    for (let start = 0; start < Math.max(needed, reply.size); start += chunk) {
      const bytes = await next;
      signal?.throwIfAborted();
      next = start + chunk < needed ? fill(start + chunk) : undefined;
      // If something else fails first, this failure is of no interest.
      next?.catch(() => {});
      const passed = bytes && onBytes?.(bytes);
      const count = Math.ceil(Math.max(0, Math.min(chunk, reply.size - start)) / block);
      const received = records.subarray(0, count * reply.strong);
      await readRecords(reply, received);
      for (let i = 0; bytes && i < count; i++) {
        const at = start + i * block;
        // The last block of the remote file may be shorter.
        const size = Math.min(block, reply.size - at);
        if (at + size > local.size) break;
        hash.begin();
        hash.update(bytes.subarray(i * block, i * block + size));
        if (startsWith(hash.end(), received, i * reply.strong, reply.strong)) {
          same.add(at, at, size);
        }
      }
      await passed;
      onFound?.(same.size);
    }
    await readEnd(reply);
    return same;
  } finally {
    await next?.catch(() => {});
  }
}
