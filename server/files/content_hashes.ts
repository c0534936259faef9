/**
 * Computes the hashes of the blocks of a content while it passes, for a storage that remembers them.
 *
 * @module
 */

import type { Part, Parts } from "../../lib/delta/parts.ts";
import { createStrongHash, type StrongHash } from "../../lib/delta/strong_hash.ts";
import { MAX_HASHES_BYTES } from "../storage/kept_hashes.ts";
import type { BlockHashes } from "../storage/storage.ts";

/** The length of a hash in bytes. */
export const HASH_BYTES = 8;

/** Collects the hashes of the blocks of one content. */
export class BlockHasher {
  readonly #strong: StrongHash;
  readonly #block: number;
  readonly #hashes: Uint8Array<ArrayBuffer>;
  /** How many bytes of the content have been added. */
  #size = 0;

  private constructor(strong: StrongHash, block: number, hashes: Uint8Array<ArrayBuffer>) {
    this.#strong = strong;
    this.#block = block;
    this.#hashes = hashes;
  }

  /**
   * Creates a hasher for a content of a known size.
   *
   * @param block the size of the blocks in bytes
   * @param size the size of the content in bytes
   * @returns undefined if there would be more hashes than are worth remembering
   */
  static async create(block: number, size: number): Promise<BlockHasher | undefined> {
    const bytes = Math.ceil(size / block) * HASH_BYTES;
    if (bytes > MAX_HASHES_BYTES) return undefined;
    return new BlockHasher(await createStrongHash(), block, new Uint8Array(bytes));
  }

  /** Adds the next bytes. The caller may reuse the array when this returns. */
  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const filled = this.#size % this.#block;
      const piece = bytes.subarray(at, at + this.#block - filled);
      if (filled === 0) this.#strong.begin();
      this.#strong.update(piece);
      at += piece.length;
      this.#size += piece.length;
      if (this.#size % this.#block === 0) this.#put(this.#strong.end());
    }
  }

  /** Adds a whole block whose hash is known, at the end of another one. */
  take(hash: Uint8Array): void {
    this.#size += this.#block;
    this.#put(hash);
  }

  #put(hash: Uint8Array): void {
    this.#hashes.set(hash, (Math.ceil(this.#size / this.#block) - 1) * HASH_BYTES);
  }

  /** The hashes of the blocks that are complete. */
  get complete(): Uint8Array {
    return this.#hashes.subarray(0, Math.floor(this.#size / this.#block) * HASH_BYTES);
  }

  /** Ends the content, whose last block may be shorter than the others. Returns the hashes of all blocks. */
  finish(): BlockHashes {
    if (this.#size % this.#block > 0) this.#put(this.#strong.end());
    return { block: this.#block, hashes: this.#hashes };
  }
}

/** What is known of the basis, and what collects the hashes of the content. */
export interface KnownHashes {
  /** The hashes of the blocks of the basis. */
  readonly basis: BlockHashes;
  /** Collects those of the content, of blocks of the same size. */
  readonly hasher: BlockHasher;
}

/** A part that is copied from the basis. */
interface ObservedCopy {
  readonly size: number;
  /** Where it begins in the basis, and in the content. */
  readonly from: number;
  readonly at: number;
}

/** Passes the parts of a content on. A block that is a whole block of the basis is not hashed again. */
export class ObservedParts implements Parts {
  readonly #parts: Parts;
  readonly #known: KnownHashes | undefined;
  /**
   * The copies that may contain a whole block and of which not all bytes were added, from `#first` on. Shorter ones are
   * not kept: there may be as many as bytes.
   */
  #open: ObservedCopy[] = [];
  #first = 0;
  /** Where the next part begins. */
  #next = 0;
  /** How many bytes were added. */
  #added = 0;
  /** How many bytes of a block follow whose hash is known already. */
  #skipped = 0;
  #copied = 0;

  /** @param known undefined if the hashes of the basis are not known, so that none are collected */
  constructor(parts: Parts, known: KnownHashes | undefined) {
    this.#parts = parts;
    this.#known = known;
  }

  /** How many bytes of the parts so far are those of the basis. */
  get copied(): number {
    return this.#copied;
  }

  /** See {@linkcode Parts.next}. */
  async next(): Promise<Part | null> {
    const part = await this.#parts.next();
    if (part === null) return null;
    const { size, from } = part;
    if (from !== undefined) {
      this.#copied += size;
      if (this.#known && size >= this.#known.basis.block) {
        this.#open.push({ size, from, at: this.#next });
      }
    }
    this.#next += size;
    return part;
  }

  /** See {@linkcode Parts.read}. */
  read(into: Uint8Array): Promise<number> {
    return this.#parts.read(into);
  }

  /** Adds the next bytes of the content, after the parts that they are of were asked for. */
  add(bytes: Uint8Array): void {
    if (!this.#known) return;
    const { basis: { block }, hasher } = this.#known;
    for (let at = 0; at < bytes.length;) {
      const filled = this.#added % block;
      if (filled === 0) {
        const known = this.#knownHash(block);
        if (known) {
          hasher.take(known);
          this.#skipped = block;
        }
      }
      const length = Math.min(block - filled, bytes.length - at);
      if (this.#skipped > 0) this.#skipped -= length;
      else hasher.update(bytes.subarray(at, at + length));
      at += length;
      this.#added += length;
    }
  }

  /** The hash of the block that begins where the next byte is added, if it is one of the basis. */
  #knownHash(block: number): Uint8Array | undefined {
    const { hashes } = this.#known!.basis;
    const copy = this.#copyAt(this.#added);
    if (!copy || copy.at + copy.size < this.#added + block) return undefined;
    const from = copy.from + this.#added - copy.at;
    if (from % block !== 0) return undefined;
    const at = from / block * HASH_BYTES;
    return at + HASH_BYTES <= hashes.length ? hashes.subarray(at, at + HASH_BYTES) : undefined;
  }

  /** The kept copy that a byte is of; those in front of it are dropped. */
  #copyAt(offset: number): ObservedCopy | undefined {
    let copy = this.#open[this.#first];
    while (copy && copy.at + copy.size <= offset) copy = this.#open[++this.#first];
    if (this.#first > this.#open.length / 2) {
      this.#open = this.#open.slice(this.#first);
      this.#first = 0;
    }
    return copy && copy.at <= offset ? copy : undefined;
  }

  /** The hashes of the blocks of the whole content, after all of it was added; undefined if they are not known. */
  finish(): BlockHashes | undefined {
    return this.#known?.hasher.finish();
  }
}
