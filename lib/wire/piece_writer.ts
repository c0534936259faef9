/**
 * Writes the messages of a compressed connection as pieces. What does not shrink is sent as it is.
 *
 * @module
 */

import type { Compressor } from "../compression/zstd.ts";
import type { BufferBudget } from "../core/buffer_budget.ts";
import { encodePieceHeader, MAX_PIECE_BYTES, PIECE_HEADER_BYTES } from "./piece_header.ts";

/** Options of {@linkcode PieceWriter}. */
export interface PieceWriterOptions {
  /** Memory for buffers. */
  buffers: BufferBudget;
  /** Sends bytes on the line. */
  send(bytes: Uint8Array): Promise<void>;
  /** Makes a compressor for one frame. */
  compressor(): Compressor;
  /** Called when nothing was compressed for at least {@linkcode IDLE_MS} although there is a compressor. */
  onIdle(): void;
}

/**
 * For how many milliseconds nothing is compressed before {@linkcode PieceWriterOptions.onIdle} is called, which may be
 * up to as many later.
 */
export const IDLE_MS = 1000;

/**
 * The most content that is compressed at once, in bytes. Larger pieces of one frame are not 0.5 % smaller, and other
 * connections wait while one is compressed.
 */
const COMPRESSED_BYTES = 64 * 1024;

/**
 * What is shorter is sent as it is: it saves too little time. A compressor is only created for more.
 */
const WORTH_BYTES = { withCompressor: 256, without: 1024 };

/** A compressed piece pays if it is shorter than this share of its content. */
const PAYS = 15 / 16;

/**
 * How much content is sent as it is after a piece that did not pay, in bytes. It doubles with each further one in a row.
 */
const SKIPPED = { first: 64 * 1024, most: 4 * 1024 * 1024 };

/** Content up to this size is sent in one write with the header of its piece. In bytes. */
const COPIED_BYTES = 32 * 1024;

/** The pieces that this side sends. */
export class PieceWriter {
  readonly #options: PieceWriterOptions;
  #compressor: Compressor | undefined;
  /** Whether the compressor has compressed anything. */
  #begun = false;
  /** How much content is sent as it is before compression is tried again. */
  #skipped = 0;
  /** How much of it was sent at the next failure: see {@linkcode SKIPPED}. */
  #nextSkip = SKIPPED.first;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether anything was compressed since the timer was set. */
  #used = false;
  #writing = false;
  #closed = false;

  /** Creates a writer at the beginning of a piece. */
  constructor(options: PieceWriterOptions) {
    this.#options = options;
  }

  /**
   * Writes content, as at least one piece. Not to be called before the previous call has settled.
   *
   * @param onSent called with the number of bytes of content that were just sent
   */
  async write(content: Uint8Array, onSent: (count: number) => void): Promise<void> {
    this.#writing = true;
    try {
      for (let rest = content; rest.length > 0;) {
        const part = rest.subarray(0, this.#partOf(rest.length));
        if (this.#skipped > 0 || !this.#isWorth(part.length)) await this.#writeRaw(part);
        else await this.#writeCompressed(part);
        onSent(part.length);
        rest = rest.subarray(part.length);
      }
    } finally {
      this.#writing = false;
    }
  }

  /** How much of that much content the next piece contains. */
  #partOf(length: number): number {
    return Math.min(length, this.#skipped > 0 ? MAX_PIECE_BYTES : COMPRESSED_BYTES);
  }

  #isWorth(length: number): boolean {
    // What is written behind the end fails where it is sent.
    if (this.#closed) return false;
    const { withCompressor, without } = WORTH_BYTES;
    return length >= (this.#compressor ? withCompressor : without);
  }

  async #writeRaw(part: Uint8Array): Promise<void> {
    this.#skipped = Math.max(0, this.#skipped - part.length);
    await this.#send("raw", part.length, [part]);
  }

  async #writeCompressed(part: Uint8Array): Promise<void> {
    this.#compressor ??= this.#options.compressor();
    const kind = this.#begun ? "next" : "first";
    this.#begun = true;
    this.#arm();
    const results = await this.#compressor.compress(part);
    // It is sent even if it did not shrink: what follows may refer to it. zstd adds only a few bytes then.
    const size = await this.#send(kind, part.length, results);
    this.#used = true;
    if (size < part.length * PAYS) this.#nextSkip = SKIPPED.first;
    else {
      this.#skipped = this.#nextSkip;
      this.#nextSkip = Math.min(2 * this.#nextSkip, SKIPPED.most);
    }
  }

  /** Sends a piece. Returns the number of its bytes. */
  async #send(
    kind: "raw" | "first" | "next" | "forget",
    content: number,
    parts: readonly Uint8Array[],
  ): Promise<number> {
    const { buffers, send } = this.#options;
    const size = parts.reduce((sum, { length }) => sum + length, 0);
    const copied = size <= COPIED_BYTES && buffers.has(PIECE_HEADER_BYTES + size);
    using lent = buffers.lend(PIECE_HEADER_BYTES + (copied ? size : 0));
    const { bytes } = lent;
    encodePieceHeader({ kind, content, size }, bytes);
    if (copied) {
      let at = PIECE_HEADER_BYTES;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
    }
    await send(bytes);
    for (const part of copied ? [] : parts) await send(part);
    return size;
  }

  /**
   * Frees the memory of the compressor. The next compressed piece begins a new frame.
   *
   * @param options `tell` is true where the peer is to free its memory, too
   */
  async forget({ tell }: { tell: boolean }): Promise<void> {
    if (!this.#compressor) return;
    this.#drop();
    if (tell) await this.#send("forget", 0, []);
  }

  #drop(): void {
    this.#compressor?.close();
    this.#compressor = undefined;
    this.#begun = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Sets the timer unless it is already set. It is not set anew with each piece. */
  #arm(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#used = false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#used || this.#writing) this.#arm();
      else this.#options.onIdle();
    }, IDLE_MS);
    // The timer must not keep the program from exiting.
    Deno.unrefTimer(this.#timer);
  }

  /** Frees all memory. Nothing may be written afterwards. */
  close(): void {
    this.#closed = true;
    this.#drop();
  }
}
