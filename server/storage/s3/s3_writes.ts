/**
 * All writes of files into a bucket: those that are sent again when they are interrupted, and those that are resumed.
 *
 * @module
 */

import type { FileName } from "../../../lib/core/remote_name.ts";
import type { CreateOptions, PendingWrite } from "../storage.ts";
import { S3PartialUploads } from "./partial_uploads.ts";
import { limitSize, S3PendingWrite } from "./pending_write.ts";
import { Publisher } from "./publication.ts";
import type { ResumableContext } from "./resumable_write.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { UploadRecords } from "./upload_records.ts";

/** The writes of files into a bucket. */
export class S3Writes implements AsyncDisposable {
  readonly #context: ResumableContext;
  readonly #pending = new Set<S3PendingWrite>();
  /** See `Storage.partialUploads`. */
  readonly partialUploads: S3PartialUploads;

  /** The writes into that bucket. */
  constructor(served: ServedBucket) {
    const records = new UploadRecords(served.bucket);
    const publisher = new Publisher(served);
    this.#context = { served, records, publisher, begun: new Set() };
    this.partialUploads = new S3PartialUploads(this.#context);
  }

  /** See `Storage.assertFits`. */
  async assertFits(name: FileName, size: number | null): Promise<void> {
    limitSize(this.#context.served, size)[Symbol.dispose]();
    await this.#context.served.lookup.assertPlaceable(name);
  }

  /** See `Storage.create`. */
  async create(name: FileName, options: CreateOptions): Promise<PendingWrite> {
    const onEnded = (write: S3PendingWrite) => void this.#pending.delete(write);
    const write = await S3PendingWrite.create(this.#context, name, options, onEnded);
    this.#pending.add(write);
    return write;
  }

  /** Ends the writes that are in progress. */
  async [Symbol.asyncDispose](): Promise<void> {
    const pending = [...this.#pending].map((write) => write[Symbol.asyncDispose]());
    await Promise.all([...pending, this.partialUploads[Symbol.asyncDispose]()]);
  }
}
