/**
 * Digests the chunks of a large body, on the main thread or on another one.
 *
 * @module
 */

import type { Algorithm } from "../core/checksum.ts";
import type { Digest } from "./digest.ts";
import type { Digests } from "./digests.ts";
import type { Md5Thread, Md5Threads } from "./md5_thread.ts";
import { PrefixDigest, type SavedChunk } from "./prefix_digest.ts";

/** For a body of which only its sender says how large it is, a thread is started after this many bytes have arrived. */
export const BYTES_ALONE: number = 4 * 1024 * 1024;

/** Options of {@linkcode ChunkDigest.update}. */
export interface ChunkUpdate {
  /** Resolves when the chunk is no longer used elsewhere. Default: undefined, it is not. */
  released?: Promise<unknown> | undefined;
  /** Whether to return the digest state after the chunk. */
  save: boolean;
}

/** Digests chunks of which it takes the ownership, and returns each when nobody reads it any more. */
export interface ChunkDigest extends Disposable {
  /**
   * Digests the next chunk. Its memory belongs to the digest until this resolves. Calls may follow each other without
   * waiting.
   *
   * @throws the error with which `released` failed
   */
  update(chunk: Uint8Array<ArrayBuffer>, options: ChunkUpdate): Promise<SavedChunk>;
}

/** Options of {@linkcode chunkDigest}. */
export interface ChunkDigestOptions {
  /** The expected number of bytes, if a thread may digest them. Default: 0, no thread is used. */
  expected?: number | undefined;
  /** Whether that number was only announced by the peer, which may send fewer bytes. Default: false. */
  announced?: boolean | undefined;
  /** Provides the thread. */
  threads: Md5Threads;
}

/** Creates a digest for so many bytes, which a thread may digest if they are enough. */
export async function createDigest(
  algorithm: Algorithm,
  size: number,
  digests: Digests,
): Promise<Digest> {
  return algorithm === "md5" && size >= digests.threads.least
    ? await PrefixDigest.create({ algorithm, proof: false }, digests)
    : await digests.create(algorithm);
}

/**
 * Feeds a digest chunk by chunk, on another thread if that is worthwhile. Without a digest, chunks are only returned
 * when they are released.
 */
export function chunkDigest(
  digest: Digest | undefined,
  { expected = 0, announced = false, threads }: ChunkDigestOptions,
): ChunkDigest {
  const threaded = expected >= threads.least && digest instanceof PrefixDigest && digest.threadable;
  return threaded
    ? new DigestOnThread(digest, threads, announced ? BYTES_ALONE : 0)
    : new DigestInPlace(digest);
}

/** Digests on the main thread, while others may read the chunk. */
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

/** Digests on another thread as soon as that has started, and on the main thread until then. */
class DigestOnThread implements ChunkDigest {
  readonly #digest: PrefixDigest;
  readonly #inPlace: ChunkDigest;
  readonly #threads: Md5Threads;
  /** After how many bytes a thread may be started for this digest. One that runs anyway is used before. */
  readonly #alone: number;
  #thread: Md5Thread | undefined;
  #bytes = 0;

  constructor(digest: PrefixDigest, threads: Md5Threads, alone: number) {
    this.#digest = digest;
    this.#inPlace = new DigestInPlace(digest);
    this.#threads = threads;
    this.#alone = alone;
  }

  async update(chunk: Uint8Array<ArrayBuffer>, options: ChunkUpdate): Promise<SavedChunk> {
    this.#bytes += chunk.length;
    if (this.#bytes >= this.#alone || this.#threads.allRun) this.#thread ??= this.#threads.start();
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
