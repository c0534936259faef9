/**
 * Files of a bucket that are open for reading, and their checksums.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { LentBuffer } from "../../../lib/core/buffer_budget.ts";
import { type Algorithm, algorithmOf, type Checksum } from "../../../lib/core/checksum.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { checksumOfSource } from "../../../lib/digest/source_digest.ts";
import type { BlockHashes, StoredFile } from "../storage.ts";
import { firstFound } from "../stored_file.ts";
import type { ObjectBody, ObjectHead } from "./bucket.ts";
import { isClaim } from "./claim.ts";
import { fileEntry, knownChecksum } from "./object_attributes.ts";
import { RangeReader, type ReadObject } from "./range_reader.ts";
import type { ServedBucket } from "./served_bucket.ts";

/** How many bytes are requested when a file is opened. A file of that size takes one request. */
const FIRST_BYTES = 1024 * 1024;

/** How many characters of a digest name a state of a file: 132 bits. */
const VERSION_LENGTH = 22;

/** A file that is open for reading: an object with a certain ETag, which may be replaced meanwhile. */
export class S3StoredFile implements StoredFile {
  readonly entry: Entry;
  readonly #served: ServedBucket;
  readonly #head: ObjectHead;
  /** The first bytes, which stay readable whatever happens to the object. */
  readonly #first: LentBuffer;
  readonly #reader: RangeReader;
  #at = 0;

  private constructor(served: ServedBucket, head: ObjectHead, entry: Entry, first: LentBuffer) {
    this.#served = served;
    this.#head = head;
    this.entry = entry;
    this.#first = first;
    this.#reader = new RangeReader(served.bucket, head, served.runtime.buffers, served.closing);
  }

  /**
   * Opens a file.
   *
   * @throws {FerryError} as `Storage.open`
   */
  static async open(
    served: ServedBucket,
    name: FileName,
    algorithm: Algorithm,
  ): Promise<S3StoredFile> {
    const { bucket, lookup, runtime: { buffers }, closing: signal } = served;
    if (!lookup.fits(name)) throw notFound();
    const range = { start: 0, count: buffers.sizeOf(FIRST_BYTES) };
    const object = await bucket.get(name, { range, signal });
    if (!object || isClaim(object)) {
      await object?.body.cancel();
      throw await absence(served, name);
    }
    const first = await readFirst(served, object, range.count);
    try {
      const entry = fileEntry(name, object, algorithm, served.engine);
      // A file that was read already is not worth another request.
      if (entry.checksum === null && object.size > first.bytes.length) {
        entry.checksum = await served.records.find(name, object.etag, algorithm);
      }
      return new S3StoredFile(served, object, entry, first);
    } catch (error) {
      first[Symbol.dispose]();
      throw error;
    }
  }

  async read(into: Uint8Array): Promise<number | null> {
    const { size } = this.#head;
    if (this.#at >= size) return into.length === 0 ? 0 : null;
    const first = this.#first.bytes;
    let count: number;
    if (this.#at < first.length) {
      // While the first bytes are used, the next ones come.
      this.#reader.prepare(first.length);
      const bytes = first.subarray(this.#at, this.#at + into.length);
      into.set(bytes);
      count = bytes.length;
    } else count = await this.#reader.read(into, this.#at);
    this.#at += count;
    return count;
  }

  seek(offset: number): void {
    this.#at = offset;
  }

  known(algorithm: Algorithm): Checksum | null {
    const { checksum } = this.entry;
    if (checksum !== null && algorithmOf(checksum) === algorithm) return checksum;
    return knownChecksum(this.#head, algorithm, this.#served.engine);
  }

  async find(algorithm: Algorithm): Promise<Checksum | null> {
    const { key, etag } = this.#head;
    return this.known(algorithm) ?? await this.#served.records.find(key, etag, algorithm);
  }

  expected(): Promise<Checksum | null> {
    return firstFound((algorithm) => this.find(algorithm));
  }

  async remember(checksum: Checksum): Promise<void> {
    const { key, etag } = this.#head;
    const algorithm = algorithmOf(checksum)!;
    if (knownChecksum(this.#head, algorithm, this.#served.engine) !== null) return;
    const { bucket, records } = this.#served;
    if ((await bucket.head(key))?.etag === etag) await records.remember(key, etag, [checksum]);
  }

  get version(): string {
    return createHash("sha256").update(this.#head.etag).digest("base64url").slice(
      0,
      VERSION_LENGTH,
    );
  }

  findHashes(): Promise<BlockHashes | undefined> {
    const { key, etag } = this.#head;
    return Promise.resolve(this.#served.hashes.find(key, etag));
  }

  rememberHashes(blocks: BlockHashes): Promise<void> {
    const { key, etag } = this.#head;
    this.#served.hashes.remember(key, etag, blocks);
    return Promise.resolve();
  }

  forgetHashes(): Promise<void> {
    this.#served.hashes.forget(this.#head.key);
    return Promise.resolve();
  }

  /** The object that it reads. */
  get object(): ReadObject {
    return this.#head;
  }

  /** The ETag of the object that it reads. */
  get etag(): string {
    return this.#head.etag;
  }

  /** Gives up what was read ahead. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#first[Symbol.dispose]();
    await this.#reader[Symbol.asyncDispose]();
  }
}

/** Reads the first bytes of an object into a buffer, at most `most`. */
async function readFirst(
  { runtime: { buffers } }: ServedBucket,
  { size, body }: ObjectBody,
  most: number,
): Promise<LentBuffer> {
  const buffer = buffers.lend(Math.min(size, most));
  try {
    let filled = 0;
    for await (const bytes of body) {
      const fitting = bytes.subarray(0, buffer.bytes.length - filled);
      buffer.bytes.set(fitting, filled);
      filled += fitting.length;
      // Less memory may be left than when the range was requested.
      if (filled === buffer.bytes.length) break;
    }
    if (filled < buffer.bytes.length) {
      throw new FerryError("io", "the store gave less than the file has");
    }
    return buffer;
  } catch (error) {
    buffer[Symbol.dispose]();
    throw error;
  }
}

/** Why no file can be opened under a name. */
export async function absence({ lookup }: ServedBucket, name: FileName): Promise<FerryError> {
  if (await lookup.isDirectory(name)) return new FerryError("not_a_file", "it is a directory");
  if (lookup.fits(name)) await lookup.assertParents(name);
  return notFound();
}

function notFound(): FerryError {
  return new FerryError("not_found", "no such file or directory");
}

/**
 * The checksum of an object: from its metadata, its ETag, a record, or by reading it once. Callers that ask while it is
 * read share the result: a large file may take longer to read than a client waits, and the client asks again.
 *
 * @throws {FerryError} `not_found`; `busy` if it is replaced or removed meanwhile; `io`
 */
export async function checksumOf(
  served: ServedBucket,
  head: ObjectHead,
  algorithm: Algorithm,
): Promise<Checksum> {
  const { key, etag } = head;
  const known = knownChecksum(head, algorithm, served.engine) ??
    await served.records.find(key, etag, algorithm);
  if (known !== null) return known;
  const subject = `${algorithm} ${etag} ${key}`;
  const running = served.reading.get(subject);
  if (running) return await running;
  const reading = readChecksum(served, head, algorithm)
    .finally(() => served.reading.delete(subject));
  served.reading.set(subject, reading);
  return await reading;
}

async function readChecksum(
  served: ServedBucket,
  { key, etag }: ObjectHead,
  algorithm: Algorithm,
): Promise<Checksum> {
  await using file = await S3StoredFile.open(served, key as FileName, algorithm);
  if (file.etag !== etag) throw new FerryError("busy", "the file is being replaced");
  const checksum = await checksumOfSource(served.runtime, file, { algorithm });
  await file.remember(checksum);
  return checksum;
}
