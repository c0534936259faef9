/**
 * Compares two files block by block, each with the one at the same offset.
 *
 * @module
 */

import { Pace } from "../core/time_slices.ts";
import { Copies } from "./copies.ts";
import { type RandomAccess, readAt } from "./random_access.ts";
import { readEnd, readRecords, type SignatureReply } from "./signature.ts";
import { startsWith, type StrongHash } from "./strong_hash.ts";
import { hashOfZeros, mayBeZeros, ZeroRuns } from "./zero_runs.ts";

/** How much of the local file is read at once, in bytes, if blocks are not larger. */
const CHUNK_BYTES = 1024 * 1024;

/** Options of {@linkcode InPlaceComparison}. */
export interface InPlaceOptions {
  /** The size of a block in bytes. */
  block: number;
  /** Which file is to be described by copies of the other one. */
  target: "local" | "remote";
  /** Hashes the blocks. */
  hash: StrongHash;
  /** Gets every byte of the local file in order. The bytes are valid until it returns. */
  onBytes?: ((piece: Uint8Array<ArrayBuffer>) => void) | undefined;
}

/** Finds the blocks that a local and a remote file have in common at the same offsets, and blocks of zeros anywhere. */
export class InPlaceComparison {
  readonly #local: RandomAccess;
  readonly #reply: SignatureReply;
  readonly #options: InPlaceOptions;
  readonly #zeroHash: Uint8Array;
  readonly #zeros = new ZeroRuns();
  /** What has been found to be the same so far, at the same offsets of both files. */
  readonly same: Copies = new Copies();

  /** @param reply a signature of all of the remote file, with strong hashes only */
  constructor(local: RandomAccess, reply: SignatureReply, options: InPlaceOptions) {
    this.#local = local;
    this.#reply = reply;
    this.#options = options;
    this.#zeroHash = hashOfZeros(options.hash, options.block);
  }

  /** Whether the content has blocks of zeros so far where the basis has something else. */
  get lacksZeros(): boolean {
    return this.#zeros.isMissing;
  }

  /** Copies for blocks of zeros that the basis has somewhere else, once all has been compared. */
  zeros(): Copies {
    return this.#zeros.copies();
  }

  /**
   * Compares the files from their starts to their ends. Yields up to which offset that is done; `same` is complete in
   * front of it.
   *
   * @throws {FerryError} `bad_header` if the signature is not as long as it has to be, `io` if the local file cannot be
   * read or is shorter than it was; what the reply fails with
   */
  async *run(): AsyncGenerator<number, void, void> {
    const [local, reply, { block, target, onBytes }] = [this.#local, this.#reply, this.#options];
    const chunk = Math.max(CHUNK_BYTES, block);
    // What only the local file has is of interest where it may consist of zeros.
    const whole = onBytes !== undefined || target === "local";
    const needed = whole ? local.size : Math.min(local.size, reply.size);
    const records = new Uint8Array(chunk / block * reply.strong);
    // While one chunk is hashed, the next one is read.
    const buffers = [new Uint8Array(chunk), new Uint8Array(chunk)] as const;
    const fill = async (start: number) => {
      const bytes = buffers[start / chunk % 2]!.subarray(0, local.size - start);
      await readAt(local, start, bytes);
      return bytes;
    };
    let next: Promise<Uint8Array<ArrayBuffer>> | undefined;
    // All may be in memory.
    const pace = new Pace();
    try {
      if (needed > 0) next = fill(0);
      const end = Math.max(needed, reply.size);
      for (let start = 0; start < end; start += chunk) {
        const bytes = await next;
        next = start + chunk < needed ? fill(start + chunk) : undefined;
        // If something else fails first, this failure is of no interest.
        next?.catch(() => {});
        if (bytes) onBytes?.(bytes);
        const count = Math.ceil(Math.max(0, Math.min(chunk, reply.size - start)) / block);
        const received = records.subarray(0, count * reply.strong);
        await readRecords(reply, received);
        for (let i = 0; i < chunk / block; i++) {
          const at = start + i * block;
          const record = i < count ? received.subarray(i * reply.strong) : undefined;
          this.#compare(at, record, bytes?.subarray(i * block, (i + 1) * block));
        }
        // Whoever gets this may read the local file as well, from where it wants.
        await next?.catch(() => {});
        if (pace.isDue) await pace.rest();
        yield Math.min(start + chunk, end);
      }
      await readEnd(reply);
    } finally {
      await next?.catch(() => {});
    }
  }

  /** Compares a block with its record; either may be missing behind the end of its file. */
  #compare(at: number, record: Uint8Array | undefined, bytes: Uint8Array | undefined): void {
    const [{ size: remoteSize, strong }, { block, target, hash }] = [this.#reply, this.#options];
    const zeroHash = this.#zeroHash;
    // The last block of the remote file may be shorter.
    const size = record ? Math.min(block, remoteSize - at) : block;
    const zeroRecord = size === block && record && startsWith(zeroHash, record, 0, strong);
    let [zeroBlock, equal] = [false, false];
    if (bytes && bytes.length >= size && (record || mayBeZeros(bytes))) {
      hash.begin();
      hash.update(bytes.subarray(0, size));
      const hashed = hash.end();
      zeroBlock = size === block && startsWith(zeroHash, hashed, 0, hashed.length);
      equal = record !== undefined && startsWith(hashed, record, 0, strong);
    }
    if (equal) this.same.add(at, at, size);
    const [content, basis] = target === "local" ? [zeroBlock, zeroRecord] : [zeroRecord, zeroBlock];
    if (content && !equal) this.#zeros.addMissing(at, block);
    if (basis) this.#zeros.addBasis(at, block);
  }
}
