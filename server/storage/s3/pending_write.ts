/**
 * Writes that cannot be resumed: streams, and files that are small enough to be sent again.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import { Quota, type Reservation } from "../quota.ts";
import type { AnnouncedAttributes, CreateOptions, FileRange, PendingWrite } from "../storage.ts";
import type { Metadata } from "./bucket.ts";
import { metadataOf } from "./object_attributes.ts";
import { PART_BYTES } from "./part_sizes.ts";
import { type CopySource, PartWriter } from "./part_writer.ts";
import type { Publisher } from "./publication.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { S3StoredFile } from "./stored_file.ts";

/** What a write needs. */
export interface WriteContext {
  /** The bucket. */
  readonly served: ServedBucket;
  /** Publishes what was written. */
  readonly publisher: Publisher;
  /** The store's ids of the multipart uploads that this process is filling. */
  readonly begun: Set<string>;
}

/** The metadata with which an object is begun, as far as its attributes were announced. */
export function announcedMetadata(
  { mtime, mode, checksum }: AnnouncedAttributes = {},
): Metadata {
  return metadataOf({ mtime, mode, checksums: checksum === undefined ? [] : [checksum] });
}

/**
 * Fails for a file that is too large, however it is sent.
 *
 * @returns fails for a stream that has become too large
 * @throws {FerryError} `too_large`
 */
export function limitSize(
  { maxFileSize }: ServedBucket,
  size: number | null,
): Reservation {
  return new Quota({ maxFileSize }).reserve(size);
}

/** Where bytes of an open file are; undefined if it is of another storage. */
export function sourceOf({ file, offset }: FileRange): CopySource | undefined {
  return file instanceof S3StoredFile ? { object: file.object, start: offset } : undefined;
}

/** A {@linkcode PendingWrite} into a bucket. */
export class S3PendingWrite implements PendingWrite {
  readonly #name: FileName;
  readonly #context: WriteContext;
  readonly #content: PartWriter;
  readonly #metadata: Metadata;
  readonly #limit: Reservation;
  readonly #onEnded: (write: S3PendingWrite) => void;
  #ended = false;

  private constructor(
    context: WriteContext,
    name: FileName,
    { size, announced }: CreateOptions,
    onEnded: (write: S3PendingWrite) => void,
  ) {
    const { bucket, runtime, engine } = context.served;
    this.#context = context;
    this.#name = name;
    this.#onEnded = onEnded;
    this.#limit = limitSize(context.served, size);
    this.#metadata = announcedMetadata(announced);
    this.#content = new PartWriter({
      bucket,
      runtime,
      key: name,
      size,
      metadata: this.#metadata,
      md5Etags: engine.md5Etags,
      onBegun: ({ uploadId }) => void context.begun.add(uploadId),
    });
  }

  /**
   * Begins a write; see `Storage.create`.
   *
   * @param onEnded called when the write has ended
   */
  static async create(
    context: WriteContext,
    name: FileName,
    options: CreateOptions,
    onEnded: (write: S3PendingWrite) => void,
  ): Promise<S3PendingWrite> {
    const { size, replace } = options;
    const write = new S3PendingWrite(context, name, options, onEnded);
    // What stands under the name of a small file is looked at once: right before the file is stored.
    const isSmall = size !== null && size <= PART_BYTES;
    if (!isSmall || replace === undefined) await context.served.lookup.assertPlaceable(name);
    return write;
  }

  /** See {@linkcode PendingWrite.write}. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#write(bytes);
  }

  /** See {@linkcode PendingWrite.writeCopied}. */
  writeCopied(bytes: Uint8Array, from: FileRange): Promise<void> {
    return this.#write(bytes, sourceOf(from));
  }

  async #write(bytes: Uint8Array, source?: CopySource): Promise<void> {
    this.#assertOpen();
    this.#limit.grow(this.#content.size + bytes.length);
    await this.#content.write(bytes, source);
  }

  /** See {@linkcode PendingWrite.commit}. */
  async commit(options: CommitOptions): Promise<Committed> {
    this.#assertOpen();
    const { size } = this.#content;
    const content = await this.#content.finish();
    const committed = await this.#context.publisher.publish({
      name: this.#name,
      content,
      size,
      metadata: this.#metadata,
      holder: crypto.randomUUID(),
    }, options);
    if (committed.unchanged) await this[Symbol.asyncDispose]();
    else this.#end();
    return committed;
  }

  /** See {@linkcode PendingWrite}. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#end();
    // A store that does not answer keeps the parts, until those that belong to no upload expire.
    await this.#content.discard().catch(() => {});
  }

  #end(): void {
    this.#ended = true;
    this.#content.free();
    this.#context.begun.delete(this.#content.upload?.uploadId ?? "");
    this.#onEnded(this);
  }

  #assertOpen(): void {
    if (this.#ended) throw new FerryError("closed", "the write has ended");
  }
}
