/**
 * The chunks in which a large body is transferred. Their memory is used in turns: while one is being filled, others are
 * being sent, written or digested.
 *
 * @module
 */

import { type BufferBudget, type LentBuffer, SMALL_BUFFER } from "../core/buffer_budget.ts";
import { type ChunkDigest, chunkDigest } from "./chunk_digest.ts";
import type { Digest } from "./digest.ts";
import type { Digests } from "./digests.ts";
import type { SavedPrefix } from "./prefix_digest.ts";

/** The maximum number of chunks: one is being filled, one emptied, and one digested. */
const MAX_CHUNKS = 3;

/** The source of memory and threads for a pipeline: a `Runtime`. */
export interface PipelineResources {
  /** Provides the memory. */
  readonly buffers: BufferBudget;
  /** Provides the thread that digests. */
  readonly digests: Digests;
}

/** Options of a {@linkcode ChunkPipeline}. */
export interface ChunkPipelineOptions {
  /** The maximum size of a chunk in bytes. */
  most: number;
  /** The digest that is fed with the chunks. Default: undefined, none. */
  digest?: Digest | undefined;
  /** The expected number of bytes, if a thread may digest them. Default: 0, no thread is used. */
  expected?: number | undefined;
  /** Whether that number was only announced by the peer, which may send fewer bytes. Default: false. */
  announced?: boolean | undefined;
}

/** Options of {@linkcode ChunkPipeline.pass}. */
export interface PassOptions {
  /** Resolves when nothing but the digest needs the chunk any more. */
  use?: Promise<unknown> | undefined;
  /** Called with the state of the digest after the chunk, if that can be saved. */
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
  /** Resolved when memory becomes available, while somebody waits for it. */
  #change: PromiseWithResolvers<void> | undefined;

  /**
   * Creates a pipeline. Its chunks are as large as memory allows at first, and become larger when more is available.
   */
  constructor(
    { buffers, digests: { threads } }: PipelineResources,
    { most, digest, expected, announced }: ChunkPipelineOptions,
  ) {
    this.#most = most;
    this.#buffers = buffers;
    this.#digest = chunkDigest(digest, { expected, announced, threads });
  }

  /**
   * Returns memory for the next chunk, as soon as some is available.
   *
   * @throws the error with which the use of an earlier chunk failed
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
   * Digests a chunk in memory that {@linkcode ChunkPipeline.next} returned. When this resolves, `next` may return that
   * memory again.
   *
   * @throws the error with which its use failed; callers that do not await this get it from `next` or `end`
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
   * Resolves when all chunks have been handled.
   *
   * @throws the error with which the use of a chunk failed
   */
  async end(): Promise<void> {
    await Promise.allSettled(this.#passing);
    if (this.#failure) throw this.#failure.error;
  }

  #another(): LentBuffer | undefined {
    if (this.#all.length > 0) {
      // If memory is short, filling one chunk while another is emptied gains little.
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

  /** Releases the memory, which must not be in use. */
  [Symbol.dispose](): void {
    this.#digest[Symbol.dispose]();
    for (const lent of this.#all) lent[Symbol.dispose]();
  }
}
