/**
 * Reads an object in ranges, which are requested ahead over several connections.
 *
 * @module
 */

import type { BufferBudget, CountedMemory } from "../../../lib/core/buffer_budget.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Bucket } from "./bucket.ts";

/** How many ranges are requested at the same time. */
const AHEAD = 4;

/** The largest range that is read ahead, in bytes. */
const RANGE_BYTES = 4 * 1024 * 1024;

/** Ranges smaller than this, in bytes, are not worth a request of their own. */
const MIN_RANGE_BYTES = 256 * 1024;

/** How many bytes that are read ahead are skipped, rather than requesting what follows them again. */
const MAX_SKIPPED_BYTES = 4 * 1024 * 1024;

/** The range that is requested and not read ahead, in bytes, where memory is short. */
const DIRECT_BYTES = 16 * 1024 * 1024;

/** An object that is read. */
export interface ReadObject {
  /** Its key. */
  readonly key: string;
  /** The ETag that it has to keep. */
  readonly etag: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** Reads one object. Calls MUST NOT overlap. */
export class RangeReader implements AsyncDisposable {
  readonly #bucket: Bucket;
  readonly #object: ReadObject;
  readonly #buffers: BufferBudget;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  /** What was requested, in order and without gaps. */
  #ranges: Range[] = [];
  /** The ranges that were given up and have not ended yet. */
  readonly #ending = new Set<Promise<void>>();

  /** Requests nothing yet. */
  constructor(bucket: Bucket, object: ReadObject, buffers: BufferBudget, closing: AbortSignal) {
    this.#bucket = bucket;
    this.#object = object;
    this.#buffers = buffers;
    this.#signal = AbortSignal.any([closing, this.#ended.signal]);
  }

  /** Requests what is at an offset and behind it, unless something was requested already. */
  prepare(offset: number): void {
    if (this.#ranges.length === 0) this.#requestFrom(offset);
  }

  /**
   * Reads some bytes from an offset, which has to be before the end. It is fast where the offset is that behind the
   * bytes that were read last.
   *
   * @returns how many bytes
   * @throws {FerryError} `busy` if the object was replaced or removed meanwhile; `io`
   */
  async read(into: Uint8Array, offset: number): Promise<number> {
    while (this.#ranges.length > 0 && !await this.#ranges[0]!.reach(offset)) this.#endFirst();
    this.#requestFrom(offset);
    const count = await this.#ranges[0]!.read(into);
    // What was read to its end makes room for the next one.
    if (!this.#ranges[0]!.has(offset + count)) this.#endFirst();
    return count;
  }

  /** Requests ranges until enough are on their way. */
  #requestFrom(offset: number): void {
    const { size } = this.#object;
    while (this.#ranges.length < AHEAD) {
      const next = this.#ranges.at(-1)?.stop ?? offset;
      const left = size - next;
      if (left <= 0) return;
      const wanted = Math.min(left, RANGE_BYTES);
      const room = this.#buffers.sizeOf(wanted);
      if (room === wanted || room >= MIN_RANGE_BYTES) {
        const memory = this.#buffers.count(wanted);
        this.#ranges.push(this.#request(next, memory.size, memory));
      } else if (this.#ranges.length === 0) {
        this.#ranges.push(this.#request(next, Math.min(left, DIRECT_BYTES)));
      } else return;
    }
  }

  #request(start: number, count: number, memory?: CountedMemory): Range {
    const { key, etag } = this.#object;
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#signal, ended.signal]);
    const body = this.#bucket.get(key, { range: { start, count }, ifMatch: etag, signal })
      .then((object) => {
        if (object) return object.body;
        throw new FerryError("busy", "the file was removed while it was read");
      });
    return new Range(start, count, { body, ended, memory });
  }

  #endFirst(): void {
    const ending = this.#ranges.shift()!.end().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /** Gives up what was requested, and resolves when no request is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new FerryError("closed", "the file was closed"));
    while (this.#ranges.length > 0) this.#endFirst();
    await Promise.all(this.#ending);
  }
}

/** What a range consists of. */
interface RangeParts {
  /** Its bytes. */
  body: Promise<ReadableStream<Uint8Array>>;
  /** Gives the request up. */
  ended: AbortController;
  /** What its bytes count as; undefined if they are not read ahead. */
  memory: CountedMemory | undefined;
}

/**
 * A range of an object that was requested. With memory, its bytes are received by themselves; without, the connection
 * keeps what is not read yet.
 */
class Range {
  /** The offset behind its last byte. */
  readonly stop: number;
  readonly #parts: RangeParts;
  readonly #reader: Promise<ReadableStreamDefaultReader<Uint8Array>>;
  /** The offset of the next byte that it gives. */
  #offset: number;
  /** What was received and not given yet. */
  #received: Uint8Array[] = [];
  #isOver = false;
  #failure: unknown;
  /** Resolves when more was received. */
  #more = Promise.withResolvers<void>();

  constructor(start: number, count: number, parts: RangeParts) {
    this.stop = start + count;
    this.#offset = start;
    this.#parts = parts;
    this.#reader = parts.body.then((body) => body.getReader());
    this.#reader.catch(() => {});
    if (parts.memory) void this.#receiveAll();
  }

  /** Whether the next byte that it gives is that at an offset. */
  has(offset: number): boolean {
    return offset === this.#offset && offset < this.stop;
  }

  /**
   * Skips to an offset that is not far behind the next byte. Returns false if it is not in the rest of the range, or
   * another request is faster.
   */
  async reach(offset: number): Promise<boolean> {
    const gap = offset - this.#offset;
    if (gap === 0) return offset < this.stop;
    if (gap < 0 || offset >= this.stop || !this.#parts.memory || gap > MAX_SKIPPED_BYTES) {
      return false;
    }
    const rest = new Uint8Array(Math.min(gap, MIN_RANGE_BYTES));
    while (this.#offset < offset) await this.read(rest.subarray(0, offset - this.#offset));
    return true;
  }

  async #receiveAll(): Promise<void> {
    try {
      while (!this.#isOver) await this.#receive();
    } catch (error) {
      this.#failure = error;
    }
    this.#more.resolve();
  }

  /** Receives some bytes. */
  async #receive(): Promise<void> {
    const { value } = await (await this.#reader).read();
    if (value) this.#received.push(value);
    else this.#isOver = true;
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  /** Reads at least one byte. */
  async read(into: Uint8Array): Promise<number> {
    while (this.#received.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) throw new FerryError("io", "the store gave less than the file has");
      await (this.#parts.memory ? this.#more.promise : this.#receive());
    }
    let filled = 0;
    for (let first; filled < into.length && (first = this.#received[0]);) {
      const bytes = first.subarray(0, into.length - filled);
      into.set(bytes, filled);
      filled += bytes.length;
      if (bytes.length < first.length) this.#received[0] = first.subarray(bytes.length);
      else free(this.#received.shift()!);
    }
    this.#offset += filled;
    return filled;
  }

  /** Gives the request up, and resolves when it has ended. */
  async end(): Promise<void> {
    this.#isOver = true;
    for (const bytes of this.#received.splice(0)) free(bytes);
    const { ended, memory } = this.#parts;
    ended.abort(new FerryError("closed", "the range is not needed any more"));
    memory?.[Symbol.dispose]();
    try {
      await (await this.#reader).cancel();
    } catch {
      // It has failed, which nobody asks about any more.
    }
  }
}

/** Frees the memory of bytes that were received, which nobody else has, without waiting for the garbage collector. */
function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
