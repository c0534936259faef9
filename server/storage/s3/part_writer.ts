/**
 * The content of one object while it comes: it fills a buffer, and what does not fit into one is uploaded in parts,
 * several at a time. Nothing is visible by that.
 *
 * @module
 */

import { decodeHex } from "@std/encoding/hex";
import type { LentBuffer } from "../../../lib/core/buffer_budget.ts";
import { isMd5 } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { Bucket, Metadata, MultipartUpload, UploadedPart } from "./bucket.ts";
import type { ReadObject } from "./range_reader.ts";
import { MAX_STREAM_BYTES, partBytesOf, streamPartBytes } from "./part_sizes.ts";

/** How many parts of one object are uploaded at a time. */
const PARTS_AT_ONCE = 4;

/** Up to this size, in bytes, memory for a whole file is lent at once where there is plenty. */
const SMALL_BYTES = 1024 * 1024;

/** How long a write waits for memory that other transfers use, in milliseconds. */
const MEMORY_WAIT_MS = 60_000;

const utf8 = new TextEncoder();

/** What a {@linkcode PartWriter} starts with when an upload is resumed. */
export interface StoredContent {
  /** The multipart upload with the parts; undefined if there are none yet. */
  readonly upload: MultipartUpload | undefined;
  /** The first parts, without gaps. */
  readonly parts: readonly UploadedPart[];
  /** How many bytes follow them that are in no part. */
  readonly tailSize: number;
  /** Fills a buffer with those. */
  readTail(into: Uint8Array): Promise<void>;
}

/** Where bytes are in another object. */
export interface CopySource {
  /** The object. */
  readonly object: ReadObject;
  /** The offset of the first byte. */
  readonly start: number;
}

/** Options of a {@linkcode PartWriter}. */
export interface PartWriterOptions {
  /** The bucket. */
  bucket: Bucket;
  /** Provides the memory. */
  runtime: Runtime;
  /** The key of the object. */
  key: string;
  /** The announced size in bytes; null for a stream. */
  size: number | null;
  /** The metadata that a multipart upload begins with. */
  metadata: Metadata;
  /** Whether the ETag of a part is the MD5 of its content. Otherwise nothing is copied, since it could not be verified. */
  md5Etags: boolean;
  /** Called when the multipart upload was begun, before it has parts. */
  onBegun?: ((upload: MultipartUpload) => void) | undefined;
  /** Called when another part is stored. */
  onStored?: (() => void) | undefined;
}

/** All bytes of a file: in memory, or uploaded as parts. */
export type WholeContent =
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly upload: MultipartUpload; readonly parts: readonly UploadedPart[] };

/** Takes the bytes of one object in order. */
export class PartWriter {
  readonly #options: PartWriterOptions;
  readonly #ended = new AbortController();
  #upload: MultipartUpload | undefined;
  /** The stored parts, by their numbers less 1; with gaps while later ones are faster. */
  readonly #parts: UploadedPart[] = [];
  /** How many parts were cut off, which are stored or on their way. */
  #count = 0;
  /** How many bytes are in them. */
  #cutBytes = 0;
  readonly #passing = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;
  /** What is in no part yet, and how much of the buffer that is. */
  #filling: LentBuffer | undefined;
  #filled = 0;
  /** Where everything in the buffer is in another object as well; undefined if it is not. */
  #source: CopySource | undefined;

  /** Creates an object without bytes. */
  constructor(options: PartWriterOptions) {
    this.#options = options;
  }

  /** Goes on after content that is stored. */
  static async resume(options: PartWriterOptions, stored: StoredContent): Promise<PartWriter> {
    const writer = new PartWriter(options);
    const { upload, parts, tailSize } = stored;
    writer.#upload = upload;
    writer.#parts.push(...parts);
    writer.#count = parts.length;
    writer.#cutBytes = parts.reduce((sum, { size }) => sum + size, 0);
    if (tailSize === 0) return writer;
    try {
      writer.#filling = await writer.#buffer();
      await stored.readTail(writer.#filling.bytes.subarray(0, tailSize));
      writer.#filled = tailSize;
      return writer;
    } catch (error) {
      writer.free();
      throw error;
    }
  }

  /** How many bytes were written. */
  get size(): number {
    return this.#cutBytes + this.#filled;
  }

  /** The multipart upload; undefined if none was begun. */
  get upload(): MultipartUpload | undefined {
    return this.#upload;
  }

  /** How many parts were cut off, which are stored or on their way. */
  get cut(): number {
    return this.#count;
  }

  /** How many bytes are in those parts. */
  get cutBytes(): number {
    return this.#cutBytes;
  }

  /** The stored parts before the first one that is not stored yet. */
  get stored(): readonly UploadedPart[] {
    let count = 0;
    while (this.#parts[count]) count++;
    return this.#parts.slice(0, count);
  }

  /** Whether parts are being uploaded. */
  get isBusy(): boolean {
    return this.#passing.size > 0;
  }

  /** The bytes after the last part that was cut off; valid until more are written. */
  get rest(): Uint8Array<ArrayBuffer> {
    return this.#filling?.bytes.subarray(0, this.#filled) ?? new Uint8Array(0);
  }

  /**
   * Appends bytes. The caller may reuse their memory when this resolves.
   *
   * @param source where the bytes are in another object. A part that is there as a whole is copied by the store
   * @throws {FerryError} why an earlier part could not be stored; `busy` if there is no memory for a part
   */
  async write(bytes: Uint8Array, source?: CopySource): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      this.#assertSound();
      if (this.#filling && this.#filled === this.#filling.bytes.length) await this.#cut();
      this.#filling ??= await this.#buffer();
      const piece = bytes.subarray(at, at + this.#filling.bytes.length - this.#filled);
      this.#filling.bytes.set(piece, this.#filled);
      this.#source = this.#continued(source && { ...source, start: source.start + at });
      this.#filled += piece.length;
      at += piece.length;
    }
    const { size } = this.#options;
    const isFull = this.#filling && this.#filled === this.#filling.bytes.length;
    // The end of a stream may be just here: its parts are cut off by the first byte behind them.
    if (isFull && size !== null && this.size < size) await this.#cut();
  }

  /** Where the buffer with more bytes is in another object, given where those are. */
  #continued(next: CopySource | undefined): CopySource | undefined {
    if (this.#filled === 0) return next;
    const source = this.#source;
    const goesOn = next && source?.object.key === next.object.key &&
      source.object.etag === next.object.etag && source.start + this.#filled === next.start;
    return goesOn ? source : undefined;
  }

  /** How large the buffer for the next part has to be, in bytes. */
  #nextBytes(): number {
    const { size } = this.#options;
    if (size !== null) {
      const left = size - this.#cutBytes;
      if (left > 0) return Math.min(left, partBytesOf(size));
      throw new FerryError("too_large", "more bytes came than were announced");
    }
    if (this.#cutBytes < MAX_STREAM_BYTES) return streamPartBytes(this.#count + 1);
    throw new FerryError("too_large", "the store takes no longer stream: announce its size");
  }

  /** Memory for the next part, as soon as there is some. */
  async #buffer(): Promise<LentBuffer> {
    const { clock, buffers } = this.#options.runtime;
    const size = this.#nextBytes();
    if (size <= SMALL_BYTES && buffers.has(size)) return buffers.lend(size);
    const late = new AbortController();
    const reason = new FerryError("busy", "other transfers use the memory that it needs");
    const timer = clock.setTimeout(() => late.abort(reason), MEMORY_WAIT_MS);
    try {
      return await buffers.reserve(size, AbortSignal.any([late.signal, this.#ended.signal]));
    } finally {
      clock.clearTimeout(timer);
    }
  }

  /** Uploads what was filled as the next part, in the background. */
  async #cut(): Promise<void> {
    if (!this.#upload) {
      const { bucket, key, metadata, onBegun } = this.#options;
      this.#upload = await bucket.begin(key, metadata);
      onBegun?.(this.#upload);
    }
    while (this.#passing.size >= PARTS_AT_ONCE) await Promise.race(this.#passing);
    this.#assertSound();
    const number = ++this.#count;
    const buffer = this.#filling!;
    const bytes = buffer.bytes.subarray(0, this.#filled);
    const source = this.#source;
    this.#filling = undefined;
    this.#filled = 0;
    this.#cutBytes += bytes.length;
    const passing = this.#pass(number, bytes, source).finally(() => {
      buffer[Symbol.dispose]();
      this.#passing.delete(passing);
    });
    this.#passing.add(passing);
  }

  async #pass(
    number: number,
    bytes: Uint8Array<ArrayBuffer>,
    source: CopySource | undefined,
  ): Promise<void> {
    const { bucket, onStored } = this.#options;
    const { signal } = this.#ended;
    try {
      const copied = source && await this.#copy(number, bytes, source);
      this.#parts[number - 1] = copied ??
        await bucket.uploadPart(this.#upload!, number, bytes, { signal });
      onStored?.();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /**
   * Lets the store copy a part. Returns undefined if the copy is not certain to have these bytes: some stores ignore
   * which object is meant, and others do not copy ranges.
   */
  async #copy(
    number: number,
    bytes: Uint8Array,
    { object: { key, etag }, start }: CopySource,
  ): Promise<UploadedPart | undefined> {
    const { bucket, runtime: { digests }, md5Etags } = this.#options;
    if (!md5Etags) return undefined;
    const source = { key, etag, start, count: bytes.length };
    const { signal } = this.#ended;
    try {
      const copied = await bucket.copyPart(this.#upload!, number, source, { signal });
      return copied.etag === digests.md5Of(bytes) ? copied : undefined;
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  #assertSound(): void {
    if (this.#failure) throw this.#failure.error;
    this.#ended.signal.throwIfAborted();
  }

  /** Resolves when no part is being uploaded any more, whether they were stored or not. */
  async settled(): Promise<void> {
    while (this.#passing.size > 0) await Promise.all(this.#passing);
  }

  /**
   * Stores the last part, if there are parts, and waits for all of them.
   *
   * @throws {FerryError} why a part could not be stored
   */
  async finish(): Promise<WholeContent> {
    this.#assertSound();
    if (!this.#upload) return { bytes: this.rest };
    if (this.#filled > 0) await this.#cut();
    await this.settled();
    this.#assertSound();
    return { upload: this.#upload!, parts: this.#parts };
  }

  /**
   * Discards everything, also what was stored. It MUST NOT be called while a write is running.
   *
   * @throws {FerryError} if the multipart upload may still exist
   */
  async discard(): Promise<void> {
    this.#ended.abort(new FerryError("closed", "the write has ended"));
    await this.settled();
    this.free();
    if (this.#upload) await this.#options.bucket.abort(this.#upload);
  }

  /** Frees the memory. Nothing may be written afterwards. */
  free(): void {
    this.#filling?.[Symbol.dispose]();
    this.#filling = undefined;
    this.#filled = 0;
  }
}

/**
 * The ETag that the object of a multipart upload will have: the MD5 of the MD5s of its parts, and how many they are;
 * undefined where the ETags of parts are no MD5s.
 */
export function foreseenETag(
  parts: readonly UploadedPart[],
  { digests }: Runtime,
): string | undefined {
  if (!parts.every(({ etag }) => isMd5(etag))) return undefined;
  return `${digestOfETags(parts, digests)}-${parts.length}`;
}

/** The MD5 of the ETags of parts, or of the bytes that they stand for: 32 hexadecimal digits. */
export function digestOfETags(
  parts: readonly UploadedPart[],
  digests: Runtime["digests"],
): string {
  const bytes = parts.flatMap(({ etag }) => [...isMd5(etag) ? decodeHex(etag) : utf8.encode(etag)]);
  return digests.md5Of(new Uint8Array(bytes));
}
