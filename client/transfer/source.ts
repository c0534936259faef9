/**
 * The sources of an upload: a file, bytes in memory, a Blob, or a stream of bytes.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { basename } from "../../lib/core/paths.ts";
import type { ByteSource } from "../../lib/core/bytes.ts";
import { localPath } from "./local_path.ts";
import { waitDirectly, type WaitFor } from "../net/connection_pool.ts";

/**
 * What {@linkcode Client.put} takes: the path or the `file:` URL of a file, a `Blob` or a `File`, bytes in memory,
 * or a stream or an async iterable of bytes.
 */
export type Source =
  | string
  | URL
  | Blob
  | ArrayBuffer
  | ArrayBufferView
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

/** A source, by the way in which it can be read. */
export type UploadSource =
  | { kind: "path"; path: string }
  | { kind: "sized"; source: SizedSource }
  | { kind: "pieces"; pieces: Pieces };

/** A source that can be read from any offset, and again if need be. */
export interface SizedSource extends ByteSource {
  /** The size in bytes. */
  readonly size: number;
  /** The modification time in milliseconds since 1970, where the source has one. */
  readonly mtime?: number | undefined;
  /** The permission bits, where the source has them. */
  readonly mode?: number | undefined;
  /** Makes the next read begin at that offset. */
  seek(offset: number): void;
  /** Reads the whole source, for what fits into memory. */
  readWhole(): Promise<Uint8Array>;
}

const TAKEN =
  "a path, a file: URL, a Blob, bytes, a ReadableStream of bytes or an async iterable of bytes";

/**
 * Classifies a source. A stream is locked from then on.
 *
 * @param size the number of bytes that a stream is to yield, where it is known
 * @throws {FerryError} `usage` for what cannot be uploaded
 */
export function uploadSourceOf(source: Source, size?: number): UploadSource {
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) {
    throw new FerryError("usage", `${size} is not a size: it must be a number of bytes`);
  }
  if (typeof source === "string" || source instanceof URL) {
    return { kind: "path", path: localPath(source) };
  }
  if (source instanceof Blob) return { kind: "sized", source: new BlobSource(source) };
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return { kind: "sized", source: new MemorySource(bytesOf(source)) };
  }
  if (source instanceof ReadableStream) {
    assertUnread(source);
    const reader = source.getReader();
    return { kind: "pieces", pieces: new Pieces(iteratorOf(reader), size) };
  }
  if (isAsyncIterable(source)) {
    return { kind: "pieces", pieces: new Pieces(source[Symbol.asyncIterator](), size) };
  }
  const refused = `${describe(source)} cannot be uploaded${streamIn(source)}`;
  throw new FerryError("usage", `${refused}: give ${TAKEN}`);
}

/** The name of the source itself, if it has one. */
export function nameOf(source: Source): string | undefined {
  if (typeof source === "string") return basename(source);
  if (source instanceof URL) return basename(localPath(source));
  return source instanceof File && source.name !== "" ? source.name : undefined;
}

/** A description of a value, for error messages. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const { name = "" } = Object.getPrototypeOf(value)?.constructor ?? {};
  if (typeof name !== "string" || name === "" || name === "Object") return "an object";
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** Names the stream of a response, an open file or a similar object, for error messages. */
function streamIn(value: unknown): string {
  if (typeof value !== "object" || value === null) return "";
  const has = (key: string) => (value as Record<string, unknown>)[key] instanceof ReadableStream;
  const key = ["readable", "body"].find(has);
  return key === undefined ? "" : `, though its ${key} can`;
}

function bytesOf(memory: ArrayBuffer | ArrayBufferView): Uint8Array {
  const [buffer, ...where] = "buffer" in memory
    ? [memory.buffer, memory.byteOffset, memory.byteLength]
    : [memory];
  if (buffer instanceof ArrayBuffer && buffer.detached) {
    throw new FerryError("usage", "the bytes are here no longer: their memory was transferred");
  }
  return new Uint8Array(buffer, ...where);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/** Refuses a stream that was read from before: its rest would be taken for the whole. */
function assertUnread(stream: ReadableStream): void {
  if (stream.locked) {
    throw new FerryError("usage", "the stream is locked: something else is reading it");
  }
  try {
    // The platform has no other way to find out.
    new Response(stream);
  } catch {
    throw new FerryError("usage", "the stream has been read from before");
  }
}

/** An iterator whose `return` also ends a pending read; the stream's own iterator would wait for it. */
function iteratorOf(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncIterator<Uint8Array> {
  return {
    async next() {
      const { done, value } = await reader.read();
      if (!done) return { done, value };
      reader.releaseLock();
      return { done, value: undefined };
    },
    async return(reason) {
      await reader.cancel(reason);
      reader.releaseLock();
      return { done: true, value: undefined };
    },
  };
}

/** A source of bytes that can be read only once. */
export class Pieces {
  /** The expected number of bytes; undefined where it is not known. */
  readonly size: number | undefined;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #asked = false;
  #pending = false;
  #ended = false;

  /** The pieces from an iterator. */
  constructor(iterator: AsyncIterator<Uint8Array>, size: number | undefined) {
    this.#iterator = iterator;
    this.size = size;
  }

  /** Whether no piece has been requested yet. */
  get untouched(): boolean {
    return !this.#asked;
  }

  /**
   * The pieces, one after the other.
   *
   * @param waitFor waits for each of them
   * @throws {FerryError} `usage` for a piece that is not a Uint8Array, `io` where there are fewer or more bytes than
   * `size`; what the source fails with
   */
  async *taken(waitFor: WaitFor = waitDirectly): AsyncGenerator<Uint8Array, void, void> {
    let count = 0;
    for (;;) {
      const { done, value } = await waitFor(() => this.#next());
      if (done) break;
      if (!(value instanceof Uint8Array)) {
        const reason = `the source gives ${describe(value)} where a Uint8Array is expected`;
        throw new FerryError("usage", reason);
      }
      count += value.length;
      if (count > (this.size ?? Infinity)) {
        throw new FerryError("io", `the source gives more than the ${this.size} bytes of its size`);
      }
      yield value;
    }
    if (this.size !== undefined && count < this.size) {
      const reason = `the source has ended after ${count} of the ${this.size} bytes of its size`;
      throw new FerryError("io", reason);
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array, unknown>> {
    this.#asked = true;
    this.#pending = true;
    try {
      const next = await this.#iterator.next();
      if (next.done) this.#ended = true;
      return next;
    } catch (error) {
      this.#ended = true;
      throw error;
    } finally {
      this.#pending = false;
    }
  }

  /** Tells the source that no more pieces are wanted, unless it has ended. */
  async end(reason: unknown): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const ending = (async () => await this.#iterator.return?.(reason))().catch(() => {});
    // A source that is waiting for its next piece may never yield it, so its end is not awaited.
    if (!this.#pending) await ending;
  }
}

/** Bytes in memory. */
export class MemorySource implements SizedSource {
  readonly #bytes: Uint8Array;
  #position = 0;

  /** A source of bytes that must not change until they have been sent. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  seek(offset: number): void {
    this.#position = offset;
  }

  read(into: Uint8Array): Promise<number | null> {
    const piece = this.#bytes.subarray(this.#position, this.#position + into.length);
    into.set(piece);
    this.#position += piece.length;
    return Promise.resolve(piece.length || null);
  }

  readWhole(): Promise<Uint8Array> {
    return Promise.resolve(this.#bytes);
  }
}

/** The bytes of a Blob. */
class BlobSource implements SizedSource {
  readonly #blob: Blob;
  #position = 0;

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  get size(): number {
    return this.#blob.size;
  }

  get mtime(): number | undefined {
    return this.#blob instanceof File ? this.#blob.lastModified : undefined;
  }

  seek(offset: number): void {
    this.#position = offset;
  }

  async read(into: Uint8Array): Promise<number | null> {
    const bytes = await this.#slice(this.#position, this.#position + into.length);
    if (bytes.length === 0) return null;
    into.set(bytes);
    this.#position += bytes.length;
    return bytes.length;
  }

  readWhole(): Promise<Uint8Array> {
    return this.#slice(0, this.size);
  }

  async #slice(from: number, to: number): Promise<Uint8Array> {
    try {
      return new Uint8Array(await this.#blob.slice(from, to).arrayBuffer());
    } catch (error) {
      throw new FerryError("io", "the Blob cannot be read", { cause: error });
    }
  }
}
