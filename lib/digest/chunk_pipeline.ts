/**
 * The pieces that a large body is moved in: their memory is used by turns, and while one is being filled, others
 * are on their way or being digested.
 *
 * @module
 */

import { type BufferBudget, BUFFERS, type LentBuffer, SMALL_BUFFER } from "../core/buffer_pool.ts";
import {
  type Digest,
  type FeedByThread,
  feedByThread,
  PrefixDigest,
  type SavedPrefix,
} from "./digest.ts";
import { THREADS } from "./md5.ts";
import type { Md5Thread, Md5Threads } from "./md5_worker.ts";

/** How many there are at most: one that is filled, one that is emptied, and one that is digested. */
const MOST_PIECES = 3;

/** For fewer bytes than this a thread that digests them would cost more than it saves. */
export const THREAD_BYTES: number = 512 * 1024 * 1024;

/** It is started when so many have really come: to announce some costs nobody anything. */
export const BYTES_ALONE: number = 16 * 1024 * 1024;

/** What pieces are made with. */
export interface PiecesOptions {
  /** The most bytes that a piece may have. */
  most: number;
  /** What is fed with them, if anything. */
  digest?: Digest | undefined;
  /** How many bytes are expected, where a thread may digest them. */
  expected?: number | undefined;
  /** Where their memory comes from. */
  budget?: BufferBudget;
  /** Where the thread comes from that digests them. */
  threads?: Md5Threads;
}

/** What is done with a piece. */
export interface PassOptions {
  /** Resolves when nothing but the digest needs the piece any more. */
  use?: Promise<unknown> | undefined;
  /** Told the state of the digest behind the piece, where it can be put away. */
  remember?: ((prefix: SavedPrefix) => Promise<void>) | undefined;
}

/** The pieces of one transfer, in order. */
export class Pieces implements Disposable {
  readonly #most: number;
  readonly #digest: Digest | undefined;
  readonly #feed: FeedByThread | undefined;
  readonly #budget: BufferBudget;
  readonly #threads: Md5Threads;
  readonly #all: LentBuffer[] = [];
  readonly #free: LentBuffer[] = [];
  readonly #passing = new Set<Promise<void>>();
  #bytes = 0;
  #thread: Md5Thread | undefined;
  #failure: { error: unknown } | undefined;
  /** What waits for memory, while there is none. */
  #change: PromiseWithResolvers<void> | undefined;

  /** Pieces that begin as large as memory allows, and become larger as it allows more. */
  constructor(
    { most, digest, expected = 0, budget = BUFFERS, threads = THREADS }: PiecesOptions,
  ) {
    this.#most = most;
    this.#digest = digest;
    this.#feed = digest && expected >= THREAD_BYTES ? feedByThread(digest) : undefined;
    this.#budget = budget;
    this.#threads = threads;
  }

  /**
   * Memory for the next piece, when there is some.
   *
   * @throws what the use of an earlier piece failed with
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
   * Digests a piece of memory that {@linkcode Pieces.next} gave. That is given again when this resolves.
   *
   * @throws what its use failed with; whoever does not wait is told by `next` or `end`
   */
  pass(piece: Uint8Array<ArrayBuffer>, options: PassOptions = {}): Promise<void> {
    const lent = this.#all.find(({ bytes }) => bytes.buffer === piece.buffer)!;
    this.#bytes += piece.length;
    if (this.#feed && this.#bytes >= BYTES_ALONE) this.#thread ??= this.#threads.start();
    const passing = this.#pass(piece, options).then(
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
    piece: Uint8Array<ArrayBuffer>,
    { use, remember }: PassOptions,
  ): Promise<ArrayBuffer> {
    if (this.#feed && this.#thread?.ready) {
      // Whoever uses it cannot while the thread has it.
      await use;
      const save = remember !== undefined;
      const { bytes, saved } = await this.#feed(this.#thread, piece, { save });
      if (saved) await remember?.(saved);
      return bytes.buffer;
    }
    const digest = this.#digest;
    digest?.update(piece);
    const saved = remember && digest instanceof PrefixDigest ? digest.save() : undefined;
    await use;
    if (saved) await remember?.(saved);
    return piece.buffer;
  }

  /**
   * Resolves when all pieces have been dealt with.
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
        this.#budget.sizeOf(this.#most) > SMALL_BUFFER;
      if (!ample || this.#all.length >= MOST_PIECES) return undefined;
    }
    const lent = this.#budget.lend(this.#most);
    this.#all.push(lent);
    return lent;
  }

  #grown(lent: LentBuffer): LentBuffer {
    const { length } = lent.bytes;
    if (length >= this.#most || !this.#budget.has(length * 2)) return lent;
    lent[Symbol.dispose]();
    return this.#all[this.#all.indexOf(lent)] = this.#budget.lend(this.#most);
  }

  /** Gives the memory back, which nobody may be using. */
  [Symbol.dispose](): void {
    this.#thread?.[Symbol.dispose]();
    for (const lent of this.#all) lent[Symbol.dispose]();
  }
}
