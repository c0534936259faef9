/**
 * The strong hash of a block: XXH3-64 in its canonical form, of which a record has the first bytes. It is not
 * cryptographic; the digest of the whole content shows where it was mistaken.
 *
 * @module
 */

import type { IHasher } from "hash-wasm";

// Loaded on demand: loading takes longer than many a transfer.
const hashWasm = () => import("hash-wasm");

/** Hashes blocks, one after the other. */
export interface StrongHash {
  /** Begins a block. */
  begin(): void;
  /** Adds bytes of the block. */
  update(bytes: Uint8Array): void;
  /** The hash of the block, 8 bytes. */
  end(): Uint8Array;
}

/** Creates a hash with memory of its own. */
export async function createStrongHash(): Promise<StrongHash> {
  const { createXXHash3 } = await hashWasm();
  const hasher: IHasher = await createXXHash3();
  return {
    begin: () => void hasher.init(),
    update: (bytes) => void hasher.update(bytes),
    end: () => hasher.digest("binary"),
  };
}

/** Whether a hash begins with the bytes of a record. */
export function startsWith(
  hash: Uint8Array,
  record: Uint8Array,
  offset: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (hash[i] !== record[offset + i]) return false;
  return true;
}
