/**
 * Writes that can be resumed, by any instance that serves the bucket.
 *
 * The file is cut into parts of one size, of which each is uploaded when it is full. From time to time the record tells
 * how many of the first parts are stored, and the state of the digests after them. When an upload is interrupted in
 * good order, the bytes after the last part are kept as well, in an object of their own.
 *
 * @module
 */

import { FerryError, mayPass, toFerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { PrefixDigest, SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import type { CreateResumableOptions, FileRange, ResumableWrite } from "../storage.ts";
import type { Metadata, MultipartUpload, UploadedPart } from "./bucket.ts";
import { partsUpTo } from "./part_sizes.ts";
import { type CopySource, digestOfETags, PartWriter } from "./part_writer.ts";
import { announcedMetadata, limitSize, sourceOf, type WriteContext } from "./pending_write.ts";
import { UploadLease } from "./upload_lease.ts";
import { type Recorded, type StoredRecord, tailKey, UploadRecords } from "./upload_records.ts";

/** The record is not rewritten more often than this, in milliseconds. */
const RECORD_MS = 1000;

/** What a resumable write needs. */
export interface ResumableContext extends WriteContext {
  /** The records of the bucket. */
  readonly records: UploadRecords;
}

/** A partial upload that is to go on. */
export interface ResumedUpload {
  /** Its record, as the last writer left it. */
  readonly stored: StoredRecord;
  /** The parts that the record counts, as the store lists them. */
  readonly parts: readonly UploadedPart[];
  /** The digest of the stored bytes. */
  readonly prefix: PrefixDigest;
}

/** What is stored of an upload, as far as the digests are known. */
interface Progress {
  readonly parts: number;
  readonly partsDigest: string;
  readonly prefix: SavedPrefix;
  readonly tail?: Recorded["tail"];
}

/** A {@linkcode ResumableWrite} into a bucket. */
export class S3ResumableWrite implements ResumableWrite {
  /** See {@linkcode ResumableWrite.id}. */
  readonly id: string;
  /** See {@linkcode ResumableWrite.prefix}. */
  readonly prefix: PrefixDigest | undefined;
  /** The name that the file will get. */
  readonly name: FileName;
  /** The size of the whole file in bytes; null for a stream. */
  readonly size: number | null;
  /** Whose it is. */
  readonly owner: string;
  readonly #context: ResumableContext;
  readonly #metadata: Metadata;
  readonly #onEnded: (write: S3ResumableWrite) => void;
  #content!: PartWriter;
  #lease!: UploadLease;
  /** The states of the digests after parts that are not recorded yet, by the numbers of the parts. */
  readonly #states = new Map<number, SavedPrefix>();
  /** The last checkpoint. */
  #last: SavedPrefix | undefined;
  #progress: Progress;
  #written = 0;
  #isActive = false;
  #isCommitting = false;
  #keeping = false;
  #ended = false;

  private constructor(
    context: ResumableContext,
    upload: Pick<Recorded, "name" | "size" | "owner" | "metadata"> & { id: string },
    progress: Progress,
    { prefix, onEnded }: {
      prefix?: PrefixDigest;
      onEnded: (write: S3ResumableWrite) => void;
    },
  ) {
    this.id = upload.id;
    this.name = upload.name;
    this.size = upload.size;
    this.owner = upload.owner;
    this.prefix = prefix;
    this.#context = context;
    this.#metadata = upload.metadata;
    this.#progress = progress;
    this.#onEnded = onEnded;
  }

  /** Begins the upload of a new file. */
  static create(
    context: ResumableContext,
    { id, name, ...options }: CreateResumableOptions & { id: string; name: FileName },
    onEnded: (write: S3ResumableWrite) => void,
  ): S3ResumableWrite {
    const { size, owner = "", announced } = options;
    const metadata = announcedMetadata(announced);
    const nothing = { parts: 0, partsDigest: "", prefix: { size: 0 } };
    const upload = { id, name, size, owner, metadata };
    const write = new S3ResumableWrite(context, upload, nothing, { onEnded });
    write.#content = new PartWriter(write.#contentOptions());
    write.#lease = UploadLease.create(id, write.#leaseOptions());
    return write;
  }

  /**
   * Takes an upload over from its last writer.
   *
   * @returns undefined if another writer was faster
   */
  static async resume(
    context: ResumableContext,
    { stored, parts, prefix }: ResumedUpload,
    onEnded: (write: S3ResumableWrite) => void,
  ): Promise<S3ResumableWrite | undefined> {
    const { id, record } = stored;
    const write = new S3ResumableWrite(context, { id, ...record }, record, { prefix, onEnded });
    const { uploadId, name, tail } = record;
    write.#last = record.prefix;
    write.#written = record.written;
    write.#content = await PartWriter.resume(write.#contentOptions(), {
      upload: uploadId === undefined ? undefined : { key: name, uploadId },
      parts,
      tailSize: tail?.size ?? 0,
      readTail: (into) => write.#readTail(into),
    });
    try {
      const lease = await UploadLease.take(stored, write.#leaseOptions());
      if (!lease) return undefined;
      write.#lease = lease;
    } finally {
      if (!write.#lease) write.#content.free();
    }
    return write;
  }

  #contentOptions() {
    const { bucket, runtime, engine } = this.#context.served;
    return {
      bucket,
      runtime,
      key: this.name,
      size: this.size,
      metadata: this.#metadata,
      md5Etags: engine.md5Etags,
      onBegun: ({ uploadId }: MultipartUpload) => {
        this.#context.begun.add(uploadId);
        this.#record();
      },
      onStored: () => {
        this.#isActive = true;
        this.#advance();
      },
    };
  }

  #leaseOptions() {
    const { served, records } = this.#context;
    return {
      served,
      records,
      isActive: () => {
        const isActive = this.#isActive || this.#isCommitting || this.#content.isBusy;
        this.#isActive = false;
        return isActive;
      },
      current: () => this.#current(),
    };
  }

  /** What was recorded last, as far as this process knows; undefined before the first checkpoint. */
  get known(): Pick<Recorded, "name" | "owner" | "size" | "prefix" | "written"> | undefined {
    const { name, owner, size } = this;
    return this.#last && { name, owner, size, prefix: this.#last, written: this.#written };
  }

  /** See {@linkcode ResumableWrite.write}. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#write(bytes);
  }

  /** See {@linkcode ResumableWrite.writeCopied}. */
  writeCopied(bytes: Uint8Array, from: FileRange): Promise<void> {
    return this.#write(bytes, sourceOf(from));
  }

  async #write(bytes: Uint8Array, source?: CopySource): Promise<void> {
    this.#assertOpen();
    this.#isActive = true;
    limitSize(this.#context.served, this.#content.size + bytes.length)[Symbol.dispose]();
    await this.#attempt(async () => {
      await this.#lease.assure();
      await this.#content.write(bytes, source);
    });
  }

  /** See {@linkcode ResumableWrite.checkpoint}. */
  async checkpoint(prefix: SavedPrefix): Promise<void> {
    this.#assertOpen();
    this.#last = prefix;
    this.#written = this.#context.served.runtime.clock.now();
    const parts = partsUpTo(this.size, prefix.size);
    if (parts !== undefined) this.#states.set(parts, prefix);
    if (this.#lease.isLost) await this.#lease.assure();
    if (this.#lease.isRecorded) this.#advance();
    else await this.#attempt(() => this.#lease.save());
  }

  /** See {@linkcode ResumableWrite.keep}. */
  keep(): void {
    this.#keeping = true;
  }

  /** See {@linkcode ResumableWrite.commit}. */
  async commit(options: CommitOptions): Promise<Committed> {
    this.#assertOpen();
    return await this.#attempt(async () => {
      const { size } = this.#content;
      this.#isCommitting = true;
      await this.#lease.assure();
      // The parts of an upload are the same whoever uploads them, so a short one may only be the last one.
      if (this.size !== null && size !== this.size && this.#content.upload) {
        throw new FerryError("io", "fewer bytes came than were announced");
      }
      const content = await this.#content.finish();
      await this.#lease.assure();
      const committed = await this.#context.publisher.publish({
        name: this.name,
        content,
        size,
        metadata: this.#metadata,
        holder: this.id,
      }, options);
      if (committed.unchanged) await this[Symbol.asyncDispose]();
      else {
        this.#ended = true;
        await this.#lease.stop();
        // The file has its name. What is left of the upload otherwise expires.
        if (this.#lease.isRecorded) await this.#context.records.remove(this.id).catch(() => {});
        this.#end();
      }
      return committed;
    });
  }

  /** Does something with the store. What is stored is kept if that fails and may succeed later. */
  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (mayPass(toFerryError(error))) this.#keeping = true;
      throw error;
    }
  }

  /** Counts the parts that are stored and after which the state of the digests is known. */
  #count(): void {
    const { stored } = this.#content;
    const known = [...this.#states.keys()].filter((count) => count <= stored.length);
    const parts = Math.max(0, ...known);
    if (parts > this.#progress.parts) {
      this.#progress = {
        parts,
        partsDigest: this.#digestOf(stored.slice(0, parts)),
        prefix: this.#states.get(parts)!,
      };
    }
    for (const count of known) this.#states.delete(count);
  }

  /** Records what is stored: the first parts at once, what follows not too often. */
  #advance(): void {
    if (this.#isCommitting) return;
    const hadNone = this.#progress.parts === 0;
    if (hadNone) this.#count();
    const isFirst = hadNone && this.#progress.parts > 0;
    if (isFirst || this.#lease.age > RECORD_MS && !this.#lease.isSaving) this.#record();
  }

  /** Writes the record in the background. If the store does not answer, later requests tell so. */
  #record(): void {
    if (this.#lease.isRecorded) this.#lease.save().catch(() => {});
  }

  /** What there is to record now. */
  #current(): Recorded {
    if (!this.#ended) this.#count();
    const { parts, partsDigest, prefix, tail } = this.#progress;
    return {
      name: this.name,
      size: this.size,
      owner: this.owner,
      metadata: this.#metadata,
      uploadId: this.#content.upload?.uploadId,
      parts,
      partsDigest,
      prefix,
      tail,
      written: this.#written,
    };
  }

  #digestOf(parts: readonly UploadedPart[]): string {
    return digestOfETags(parts, this.#context.served.runtime.digests);
  }

  /** See {@linkcode ResumableWrite}. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      await this.#lease.stop();
      if (!this.#keeping || !await this.#retain()) await this.#discard();
    } catch {
      // Another writer has the upload, or the store does not answer: the record is what another process goes on with.
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#content.free();
    this.#context.begun.delete(this.#content.upload?.uploadId ?? "");
    this.#onEnded(this);
  }

  /** Leaves the upload to whoever goes on with it. Returns false if there is nothing to go on with. */
  async #retain(): Promise<boolean> {
    await this.#content.settled();
    this.#count();
    const last = this.#last;
    if (last && last.size > this.#progress.prefix.size) await this.#keepTail(last);
    if (this.#progress.prefix.size === 0) return false;
    await this.#lease.release();
    return true;
  }

  /** Stores the bytes between the last part and the last checkpoint, if they are still in memory. */
  async #keepTail(last: SavedPrefix): Promise<void> {
    const { stored, cut: parts, cutBytes, rest } = this.#content;
    const size = last.size - cutBytes;
    if (stored.length !== parts || size < 0 || size > rest.length) return;
    await this.#lease.assertMine();
    const { generation } = this.#lease;
    const { bucket } = this.#context.served;
    if (size > 0) await bucket.put(tailKey(this.id, generation), rest.slice(0, size));
    this.#progress = {
      parts,
      partsDigest: this.#digestOf(stored),
      prefix: last,
      tail: size > 0 ? { generation, size } : undefined,
    };
  }

  async #readTail(into: Uint8Array): Promise<void> {
    const { generation } = this.#progress.tail!;
    const tail = await this.#context.served.bucket.get(tailKey(this.id, generation));
    const bytes = tail && new Uint8Array(await new Response(tail.body).arrayBuffer());
    if (bytes?.length !== into.length) {
      throw new FerryError("io", "the end of the partial upload is not there");
    }
    into.set(bytes);
  }

  async #discard(): Promise<void> {
    await this.#lease.assertMine();
    await this.#content.discard();
    if (this.#lease.isRecorded) await this.#context.records.remove(this.id);
  }

  #assertOpen(): void {
    if (this.#ended) throw new FerryError("closed", "the write has ended");
  }
}
