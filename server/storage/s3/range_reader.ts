/**
 * Reads an object in ranges, which are requested ahead over several connections.
 *
 * @module
 */

import type { BufferBudget, LentBuffer } from "../../../lib/core/buffer_budget.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Bucket } from "./bucket.ts";

/** How many ranges are requested at the same time. */
const AHEAD = 4;

/** The largest range that is read into a buffer, in bytes. */
const RANGE_BYTES = 4 * 1024 * 1024;

/** Buffers smaller than this, in bytes, are not worth a request of their own. */
const MIN_RANGE_BYTES = 256 * 1024;

/** The range that is read without a buffer, in bytes, where memory is short. */
const UNBUFFERED_BYTES = 16 * 1024 * 1024;

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
export class RangeReader implements Disposable {
  readonly #bucket: Bucket;
  readonly #object: ReadObject;
  readonly #buffers: BufferBudget;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  /** What was requested, in order and without gaps. */
  #ranges: Range[] = [];

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
    while (this.#ranges.length > 0 && !this.#ranges[0]!.has(offset)) this.#ranges.shift()!.end();
    this.#requestFrom(offset);
    const count = await this.#ranges[0]!.read(into, offset);
    // What was read to its end makes room for the next one.
    if (!this.#ranges[0]!.has(offset + count)) this.#ranges.shift()!.end();
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
        const buffer = this.#buffers.lend(wanted);
        this.#ranges.push(this.#request(next, buffer.bytes.length, buffer));
      } else if (this.#ranges.length === 0) {
        this.#ranges.push(this.#request(next, Math.min(left, UNBUFFERED_BYTES)));
      } else return;
    }
  }

  #request(start: number, count: number, buffer?: LentBuffer): Range {
    const { key, etag } = this.#object;
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#signal, ended.signal]);
    const body = this.#bucket.get(key, { range: { start, count }, ifMatch: etag, signal })
      .then((object) => {
        if (object) return object.body;
        throw new FerryError("busy", "the file was removed while it was read");
      });
    return buffer
      ? new BufferedRange(start, buffer, body, ended)
      : new DirectRange(start, count, body, ended);
  }

  /** Gives up what was requested. */
  [Symbol.dispose](): void {
    this.#ended.abort(new FerryError("closed", "the file was closed"));
    for (const range of this.#ranges.splice(0)) range.end();
  }
}

/** A range of an object that was requested. */
abstract class Range {
  /** The offset of its first byte. */
  readonly start: number;
  /** The offset behind its last byte. */
  readonly stop: number;
  readonly #ended: AbortController;

  constructor(start: number, count: number, ended: AbortController) {
    this.start = start;
    this.stop = start + count;
    this.#ended = ended;
  }

  /** Whether it can still give the byte at an offset. */
  has(offset: number): boolean {
    return offset >= this.start && offset < this.stop;
  }

  /** Reads at least one byte from an offset that it has. */
  abstract read(into: Uint8Array, offset: number): Promise<number>;

  /** Gives the request up. */
  end(): void {
    this.#ended.abort(new FerryError("closed", "the range is not needed any more"));
  }
}

/** A range that fills a buffer by itself. */
class BufferedRange extends Range {
  readonly #buffer: LentBuffer;
  #filled = 0;
  #isOver = false;
  #failure: unknown;
  /** Resolves when more is there. */
  #more = Promise.withResolvers<void>();

  constructor(
    start: number,
    buffer: LentBuffer,
    body: Promise<ReadableStream<Uint8Array>>,
    ended: AbortController,
  ) {
    super(start, buffer.bytes.length, ended);
    this.#buffer = buffer;
    void this.#fill(body);
  }

  async #fill(body: Promise<ReadableStream<Uint8Array>>): Promise<void> {
    try {
      for await (const bytes of await body) {
        if (this.#isOver) return;
        this.#buffer.bytes.set(bytes, this.#filled);
        this.#filled += bytes.length;
        this.#wake();
      }
      this.#failure ??= new FerryError("io", "the store gave less than the file has");
    } catch (error) {
      this.#failure = error;
    }
    this.#wake();
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers<void>();
  }

  override async read(into: Uint8Array, offset: number): Promise<number> {
    const from = offset - this.start;
    while (this.#filled <= from) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#more.promise;
    }
    const bytes = this.#buffer.bytes.subarray(from, Math.min(this.#filled, from + into.length));
    into.set(bytes);
    return bytes.length;
  }

  override end(): void {
    this.#isOver = true;
    super.end();
    this.#buffer[Symbol.dispose]();
  }
}

/** A range without a buffer: the connection keeps what is not read yet. */
class DirectRange extends Range {
  readonly #reader: Promise<ReadableStreamDefaultReader<Uint8Array>>;
  /** Bytes that were received and not given yet. */
  #rest = new Uint8Array();
  /** The offset of the next byte that it can give. */
  #offset: number;

  constructor(
    start: number,
    count: number,
    body: Promise<ReadableStream<Uint8Array>>,
    ended: AbortController,
  ) {
    super(start, count, ended);
    this.#offset = start;
    this.#reader = body.then((stream) => stream.getReader());
    this.#reader.catch(() => {});
  }

  override has(offset: number): boolean {
    return offset === this.#offset && super.has(offset);
  }

  override async read(into: Uint8Array): Promise<number> {
    const reader = await this.#reader;
    while (this.#rest.length === 0) {
      const { value } = await reader.read();
      if (!value) throw new FerryError("io", "the store gave less than the file has");
      this.#rest = value as Uint8Array<ArrayBuffer>;
    }
    const bytes = this.#rest.subarray(0, into.length);
    into.set(bytes);
    this.#rest = this.#rest.subarray(bytes.length);
    this.#offset += bytes.length;
    return bytes.length;
  }

  override end(): void {
    super.end();
    this.#reader.then((reader) => reader.cancel()).catch(() => {});
  }
}
