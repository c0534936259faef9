/**
 * The digest of a file whose bytes come in any order: it follows behind those that are there from the start on.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { turn } from "../core/time_slices.ts";
import { ChunkPipeline, type PipelineResources } from "./chunk_pipeline.ts";
import type { Digest } from "./digest.ts";
import { PrefixDigest, type SavedPrefix } from "./prefix_digest.ts";
import { CHUNK_BYTES, fillChunk, YIELD_BYTES } from "./source_digest.ts";

/** Reads some bytes of a file at an offset, and returns how many; null at its end. */
export type ReadAt = (into: Uint8Array<ArrayBuffer>, offset: number) => Promise<number | null>;

/** Options of {@linkcode FollowingDigest}. */
export interface FollowingDigestOptions {
  /** The digest of the first `offset` bytes, which is fed with the others. Nothing else may feed it. */
  digest: Digest;
  /** How many bytes of the file are digested already. */
  offset: number;
  /** The size of the file in bytes. */
  size: number;
  /** Reads the file. It is called again when the last call has ended. */
  readAt: ReadAt;
}

/** Feeds a digest with the first bytes of a file, as far as they are there. */
export class FollowingDigest implements AsyncDisposable {
  readonly #options: FollowingDigestOptions;
  readonly #ended: Promise<void>;
  /** How many of the first bytes have been passed to the digest, and how many are there. */
  #position: number;
  #limit: number;
  #saved: SavedPrefix | undefined;
  #stopped = false;
  #change = Promise.withResolvers<void>();

  /** Follows from `offset` on, where nothing more is there yet. */
  constructor(resources: PipelineResources, options: FollowingDigestOptions) {
    this.#options = options;
    const { digest, offset } = options;
    this.#position = this.#limit = offset;
    if (digest instanceof PrefixDigest && offset > 0) this.#saved = digest.save();
    this.#ended = this.#follow(resources);
    // A failure is thrown by `end`; until then it must not count as unhandled.
    this.#ended.catch(() => {});
  }

  /** The last state that can be resumed; undefined if there is none yet. */
  get saved(): SavedPrefix | undefined {
    return this.#saved;
  }

  /** Tells how many of the first bytes are there. */
  advance(limit: number): void {
    if (limit <= this.#limit) return;
    this.#limit = limit;
    this.#changed();
  }

  /**
   * Resolves when the digest contains the whole file.
   *
   * @throws what the file fails with; {@linkcode FerryError} `closed` if it was disposed of before
   */
  end(): Promise<void> {
    return this.#ended;
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  async #follow(resources: PipelineResources): Promise<void> {
    const { digest, size, readAt } = this.#options;
    const expected = size - this.#position;
    using chunks = new ChunkPipeline(resources, { most: CHUNK_BYTES, digest, expected });
    const source = {
      read: async (into: Uint8Array) => {
        const count = await readAt(into as Uint8Array<ArrayBuffer>, this.#position);
        this.#position += count ?? 0;
        return count;
      },
    };
    const remember = (saved: SavedPrefix) => Promise.resolve(void (this.#saved = saved));
    let yielded = this.#position;
    try {
      while (this.#position < size) {
        while (this.#position === this.#limit && !this.#stopped) await this.#change.promise;
        const memory = await chunks.next();
        if (this.#stopped) throw new FerryError("closed", "the digest was given up");
        const left = this.#limit - this.#position;
        const chunk = await fillChunk(source, memory, left);
        if (chunk.length < Math.min(left, memory.length)) {
          throw new FerryError("io", `it has shrunk: it ends at ${this.#position}`);
        }
        void chunks.pass(chunk, { remember });
        if (this.#position - yielded < YIELD_BYTES) continue;
        yielded = this.#position;
        await turn();
      }
    } finally {
      await chunks.end();
    }
  }

  /** Stops, and resolves when the file is not read any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#changed();
    await this.#ended.catch(() => {});
  }
}
