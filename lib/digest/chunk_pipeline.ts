/**
 * The chunks in which a large body is moved. Their memory is used by turns: while one is being filled, others are
 * being sent, written or digested.
 *
 * @module
 */

import { type BufferBudget, type LentBuffer, SMALL_BUFFER } from "../core/buffer_budget.ts";
import { type ChunkDigest, chunkDigest } from "./chunk_digest.ts";
import type { Digest } from "./digest.ts";
import type { Digests } from "./digests.ts";
import type { SavedPrefix } from "./prefix_digest.ts";

/** How many chunks there are at most: one is filled, one emptied, and one digested. */
const MAX_CHUNKS = 3;

/** What a pipeline takes memory and threads from: a `Runtime`. */
export interface PipelineResources {
  /** Where the memory comes from. */
  readonly buffers: BufferBudget;
  /** Where a thread comes from that digests. */
  readonly digests: Digests;
}

/** Options of a {@linkcode ChunkPipeline}. */
export interface ChunkPipelineOptions {
  /** The most bytes that a chunk may have. */
  most: number;
  /** What is fed with the chunks, if anything. */
  digest?: Digest | undefined;
  /** How many bytes are expected, where a thread may digest them. Default: 0, which is by no thread. */
  expected?: number | undefined;
}

/** What is done with a chunk. */
export interface PassOptions {
  /** Resolves when nothing but the digest needs the chunk any more. */
  use?: Promise<unknown> | undefined;
  /** Called with the state of the digest behind the chunk, where that can be saved. */
  remember?: ((prefix: SavedPrefix) => Promise<void>) | undefined;
}

/** The chunks of one transfer, in order. */
export class ChunkPipeline implements Disposable {
  readonly #most: number;
  readonly #buffers: BufferBudget;
  readonly #digest: ChunkDigest;
  readonly #all: LentBuffer[] = [];
  readonly #free: LentBuffer[] = [];
  readonly #passing = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;
  /** What waits for memory, while there is none. */
  #change: PromiseWithResolvers<void> | undefined;

  /** Chunks that begin as large as memory allows, and become larger as it allows more. */
  constructor(
    { buffers, digests: { threads } }: PipelineResources,
    { most, digest, expected }: ChunkPipelineOptions,
  ) {
    this.#most = most;
    this.#buffers = buffers;
    this.#digest = chunkDigest(digest, { expected, threads });
  }

  /**
   * Memory for the next chunk, as soon as there is some.
   *
   * @throws what the use of an earlier chunk failed with
   */
  async next(): Promise<Uint8Array<ArrayBuffer>> {
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const free = this.#free.pop() ?? this.#another();
      if (free) return this.#grown(free).bytes;
      this.#change ??= Promise.withResolvers();
      await this.#change.promise;
    }
  }

  /**
   * Digests a chunk, which stands in memory that {@linkcode ChunkPipeline.next} gave. When this resolves, `next` gives
   * that memory again.
   *
   * @throws what its use failed with; `next` and `end` tell those who do not wait for this
   */
  pass(chunk: Uint8Array<ArrayBuffer>, options: PassOptions = {}): Promise<void> {
    const lent = this.#all.find(({ bytes }) => bytes.buffer === chunk.buffer)!;
    const passing = this.#pass(chunk, options).then(
      (buffer) => {
        lent.bytes = new Uint8Array(buffer);
        this.#free.push(lent);
        this.#passed(passing);
      },
      (error) => {
        this.#failure ??= { error };
        this.#passed(passing);
        throw error;
      },
    );
    passing.catch(() => {});
    this.#passing.add(passing);
    return passing;
  }

  #passed(passing: Promise<void>): void {
    this.#passing.delete(passing);
    this.#change?.resolve();
    this.#change = undefined;
  }

  async #pass(
    chunk: Uint8Array<ArrayBuffer>,
    { use, remember }: PassOptions,
  ): Promise<ArrayBuffer> {
    const save = remember !== undefined;
    const { bytes, saved } = await this.#digest.update(chunk, { released: use, save });
    if (saved) await remember?.(saved);
    return bytes.buffer;
  }

  /**
   * Resolves when all chunks have been dealt with.
   *
   * @throws what the use of one failed with
   */
  async end(): Promise<void> {
    await Promise.allSettled(this.#passing);
    if (this.#failure) throw this.#failure.error;
  }

  #another(): LentBuffer | undefined {
    if (this.#all.length > 0) {
      // Where memory is short, filling one while another is emptied gains little.
      const ample = this.#all.every(({ bytes }) => bytes.length > SMALL_BUFFER) &&
        this.#buffers.sizeOf(this.#most) > SMALL_BUFFER;
      if (!ample || this.#all.length >= MAX_CHUNKS) return undefined;
    }
    const lent = this.#buffers.lend(this.#most);
    this.#all.push(lent);
    return lent;
  }

  #grown(lent: LentBuffer): LentBuffer {
    const { length } = lent.bytes;
    if (length >= this.#most || !this.#buffers.has(length * 2)) return lent;
    lent[Symbol.dispose]();
    return this.#all[this.#all.indexOf(lent)] = this.#buffers.lend(this.#most);
  }

  /** Gives the memory back, which nobody may be using. */
  [Symbol.dispose](): void {
    this.#digest[Symbol.dispose]();
    for (const lent of this.#all) lent[Symbol.dispose]();
  }
}
