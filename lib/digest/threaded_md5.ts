/**
 * An MD5 whose chunks are digested by another thread.
 *
 * @module
 */

import { bytesOfWords, type Md5 } from "./md5.ts";
import { BLOCK_BYTES } from "./md5_module.ts";
import type { Md5Thread } from "./md5_thread.ts";

/** A chunk of fewer bytes than this is digested faster than a message reaches a thread. */
const MIN_THREAD_BYTES = 64 * 1024;

/** A chunk that was digested. */
export interface DigestedChunk {
  /** Its bytes, in their original memory. */
  bytes: Uint8Array<ArrayBuffer>;
  /** See {@linkcode Md5.state}. */
  state: Uint8Array | undefined;
}

/** Feeds an MD5 on another thread. Nothing else may feed that MD5 meanwhile. */
export class ThreadedMd5 {
  readonly #md5: Md5;
  readonly #thread: Md5Thread;
  /** Whether the thread has the state after the last chunk. */
  #threadHasState = false;
  #last: Promise<unknown> | undefined;
  /** How many chunks are to be digested on the main thread and wait for the other thread to finish. */
  #waiting = 0;

  /** @param md5 the MD5 to continue */
  constructor(md5: Md5, thread: Md5Thread) {
    this.#md5 = md5;
    this.#thread = thread;
  }

  /**
   * Digests the next chunk. Its memory belongs to the thread until this resolves. Calls may follow each other without
   * waiting.
   *
   * @throws if the thread has ended; the bytes are lost
   */
  update(chunk: Uint8Array<ArrayBuffer>): Promise<DigestedChunk> {
    const inBlocks = this.#md5.size % BLOCK_BYTES === 0 && chunk.length % BLOCK_BYTES === 0;
    const here = this.#waiting > 0 || !inBlocks || chunk.length < MIN_THREAD_BYTES;
    const digested = here ? this.#updateHere(this.#last, chunk) : this.#updateOnThread(chunk);
    this.#last = digested;
    return digested;
  }

  async #updateOnThread(chunk: Uint8Array<ArrayBuffer>): Promise<DigestedChunk> {
    const { length } = chunk;
    const from = this.#threadHasState ? undefined : this.#md5.words;
    this.#threadHasState = true;
    const { bytes, words } = await this.#thread.digest(chunk, from);
    this.#md5.advance(words, length);
    return { bytes, state: bytesOfWords(words) };
  }

  async #updateHere(
    last: Promise<unknown> | undefined,
    chunk: Uint8Array<ArrayBuffer>,
  ): Promise<DigestedChunk> {
    this.#waiting++;
    await last;
    this.#waiting--;
    this.#md5.update(chunk);
    this.#threadHasState = false;
    return { bytes: chunk, state: this.#md5.state };
  }
}
