/**
 * Makes signatures: for each block of a file a record with its hashes.
 *
 * @module
 */

import { strongBytes, WEAK_BYTES } from "./block_sizes.ts";
import { createStrongHash, type StrongHash } from "./strong_hash.ts";
import { WeakHash } from "./weak_hash.ts";

/** Options of {@linkcode Signer.create}. */
export interface SignerOptions {
  /** The size of the whole file in bytes. */
  size: number;
  /** The size of a block in bytes. */
  block: number;
  /** Whether records have the weak hash, too, for a search at any offset. */
  rolling: boolean;
}

/** Turns the content of ranges into records. */
export class Signer {
  readonly #strong: StrongHash;
  readonly #weak: WeakHash | undefined;
  readonly #block: number;
  /** How many bytes of the strong hash a record has. */
  readonly strong: number;
  /** The length of a record in bytes. */
  readonly recordBytes: number;
  /** How many bytes of the present block have been added. */
  #filled = 0;

  private constructor(strong: StrongHash, { size, block, rolling }: SignerOptions) {
    this.#strong = strong;
    this.#weak = rolling ? new WeakHash() : undefined;
    this.#block = block;
    this.strong = strongBytes(size, block);
    this.recordBytes = (rolling ? WEAK_BYTES : 0) + this.strong;
  }

  /** Creates a signer for ranges of a file. */
  static async create(options: SignerOptions): Promise<Signer> {
    return new Signer(await createStrongHash(), options);
  }

  /**
   * Adds the next bytes of a range. The caller may reuse the array when this returns.
   *
   * @returns the records of the blocks that are complete now
   */
  update(bytes: Uint8Array): Uint8Array {
    const records = new Uint8Array(
      Math.floor((this.#filled + bytes.length) / this.#block) * this.recordBytes,
    );
    let written = 0;
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + this.#block - this.#filled);
      if (this.#filled === 0) this.#strong.begin();
      this.#strong.update(piece);
      this.#weak?.update(piece);
      at += piece.length;
      this.#filled += piece.length;
      if (this.#filled === this.#block) written = this.#record(records, written);
    }
    return records;
  }

  /** Ends a range. Returns the record of its last block if that is shorter than the others. */
  endRange(): Uint8Array {
    if (this.#filled === 0) return new Uint8Array(0);
    const record = new Uint8Array(this.recordBytes);
    this.#record(record, 0);
    return record;
  }

  #record(into: Uint8Array, offset: number): number {
    this.#filled = 0;
    if (this.#weak) {
      new DataView(into.buffer).setUint32(offset, this.#weak.end(), true);
      offset += WEAK_BYTES;
    }
    into.set(this.#strong.end().subarray(0, this.strong), offset);
    return offset + this.strong;
  }
}
