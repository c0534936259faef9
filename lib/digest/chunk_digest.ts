/**
 * Digests the chunks of a large body, in place or on a thread.
 *
 * @module
 */

import type { Digest } from "./digest.ts";
import type { Md5Thread, Md5Threads } from "./md5_thread.ts";
import { PrefixDigest, type SavedChunk } from "./prefix_digest.ts";

/** For fewer bytes than this a thread would cost more than it saves. */
export const THREAD_BYTES: number = 512 * 1024 * 1024;

/** A thread starts after this many bytes arrived: an announced size proves nothing. */
export const BYTES_ALONE: number = 16 * 1024 * 1024;

/** How a chunk is digested. */
export interface ChunkUpdate {
  /** Resolves when nothing else reads the chunk any more. */
  released?: Promise<unknown> | undefined;
  /** Whether the state behind the chunk is wanted. */
  save: boolean;
}

/** Takes chunks over and gives each back when nobody reads it any more. */
export interface ChunkDigest extends Disposable {
  /**
   * Digests the next chunk. Its memory belongs to the digest until this resolves. Calls may follow each other without
   * waiting.
   *
   * @throws what the chunk's release failed with
   */
  update(chunk: Uint8Array<ArrayBuffer>, options: ChunkUpdate): Promise<SavedChunk>;
}

/** Options of {@linkcode chunkDigest}. */
export interface ChunkDigestOptions {
  /** How many bytes are expected, where a thread may digest them. Default: 0, which is by no thread. */
  expected?: number | undefined;
  /** Where the thread comes from. */
  threads: Md5Threads;
}

/** Feeds a digest chunk by chunk, on a thread where that pays. Without a digest, chunks are only taken and given back. */
export function chunkDigest(
  digest: Digest | undefined,
  { expected = 0, threads }: ChunkDigestOptions,
): ChunkDigest {
  const threaded = expected >= THREAD_BYTES && digest instanceof PrefixDigest && digest.threadable;
  return threaded ? new DigestOnThread(digest, threads) : new DigestInPlace(digest);
}

/** Digests on the thread of the program, while others may read the chunk. */
class DigestInPlace implements ChunkDigest {
  readonly #digest: Digest | undefined;

  constructor(digest: Digest | undefined) {
    this.#digest = digest;
  }

  async update(
    chunk: Uint8Array<ArrayBuffer>,
    { released, save }: ChunkUpdate,
  ): Promise<SavedChunk> {
    const digest = this.#digest;
    digest?.update(chunk);
    const saved = save && digest instanceof PrefixDigest ? digest.save() : undefined;
    await released;
    return { bytes: chunk, saved };
  }

  [Symbol.dispose](): void {}
}

/** Digests on a thread of its own as soon as one has started, and in place until then. */
class DigestOnThread implements ChunkDigest {
  readonly #digest: PrefixDigest;
  readonly #inPlace: ChunkDigest;
  readonly #threads: Md5Threads;
  #thread: Md5Thread | undefined;
  #bytes = 0;

  constructor(digest: PrefixDigest, threads: Md5Threads) {
    this.#digest = digest;
    this.#inPlace = new DigestInPlace(digest);
    this.#threads = threads;
  }

  async update(chunk: Uint8Array<ArrayBuffer>, options: ChunkUpdate): Promise<SavedChunk> {
    this.#bytes += chunk.length;
    if (this.#bytes >= BYTES_ALONE) this.#thread ??= this.#threads.start();
    const thread = this.#thread;
    if (!thread?.ready) return await this.#inPlace.update(chunk, options);
    // Nobody else can read it while the thread has it.
    await options.released;
    return await this.#digest.updateOn(thread, chunk, options);
  }

  [Symbol.dispose](): void {
    this.#thread?.[Symbol.dispose]();
  }
}
