/**
 * Remembers the hashes of the blocks of files in memory, the most recently used ones.
 *
 * @module
 */

import type { BlockHashes } from "./storage.ts";

/** Files smaller than this, in bytes, are read again: nothing is remembered of them. */
export const MIN_REMEMBERED_BYTES: number = 1024 * 1024;

/** The most bytes of hashes that are kept of one file: 131072 blocks. */
export const MAX_HASHES_BYTES: number = 1024 * 1024;

/** The most bytes of hashes that are kept in memory. */
const MAX_KEPT_BYTES = 8 * MAX_HASHES_BYTES;

/** The hashes of the blocks of files, each of one state of one file. */
export class KeptHashes {
  /** By what identifies a file, the least recently used first. */
  readonly #kept = new Map<string, { version: string; blocks: BlockHashes }>();
  #bytes = 0;

  /** The hashes of the blocks of a file in that state; undefined if they are not known. */
  find(key: string, version: string): BlockHashes | undefined {
    const kept = this.#kept.get(key);
    if (kept?.version !== version) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.blocks;
  }

  /** Remembers the hashes of a file, in place of what was known of it. */
  remember(key: string, version: string, blocks: BlockHashes): void {
    this.forget(key);
    if (blocks.hashes.length > MAX_HASHES_BYTES) return;
    this.#kept.set(key, { version, blocks });
    this.#bytes += blocks.hashes.length;
    for (const [oldest] of this.#kept) {
      if (this.#bytes <= MAX_KEPT_BYTES) break;
      this.forget(oldest);
    }
  }

  /** Forgets a file. */
  forget(key: string): void {
    this.#bytes -= this.#kept.get(key)?.blocks.hashes.length ?? 0;
    this.#kept.delete(key);
  }

  /** Forgets everything. */
  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }
}
