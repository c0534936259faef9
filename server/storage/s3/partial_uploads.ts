/**
 * The partial uploads in a bucket: found, listed, resumed, discarded and expired by any instance that serves it.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { PrefixDigest } from "../../../lib/digest/prefix_digest.ts";
import type {
  CreateResumableOptions,
  DescribedUpload,
  DiscardOptions,
  FindOptions,
  LookOptions,
  PartialUpload,
  PartialUploads,
  ResumableWrite,
  ResumeOptions,
} from "../storage.ts";
import type { MultipartUpload, UploadedPart } from "./bucket.ts";
import { expireUploads } from "./upload_expiry.ts";
import { fullPartBytes } from "./part_sizes.ts";
import { digestOfETags } from "./part_writer.ts";
import { limitSize } from "./pending_write.ts";
import { type ResumableContext, S3ResumableWrite } from "./resumable_write.ts";
import { waitForHolder } from "./upload_lease.ts";
import {
  idsOf,
  newId,
  type Recorded,
  type StoredRecord,
  type UploadRecord,
} from "./upload_records.ts";

/** A partial upload, with all that is known of it. */
type KnownUpload = DescribedUpload & Pick<Recorded, "size">;

/** The partial uploads in a bucket. */
export class S3PartialUploads implements PartialUploads, AsyncDisposable {
  readonly #context: ResumableContext;
  /** The uploads that are written here, by their ids; undefined for one that is being opened. */
  readonly #open = new Map<string, S3ResumableWrite | undefined>();

  /** The partial uploads in that bucket. */
  constructor(context: ResumableContext) {
    this.#context = context;
  }

  /** See {@linkcode PartialUploads.create}. */
  async create(name: FileName, options: CreateResumableOptions): Promise<ResumableWrite> {
    const { served } = this.#context;
    limitSize(served, options.size)[Symbol.dispose]();
    await served.lookup.assertPlaceable(name);
    const id = await newId(name, options.owner ?? "");
    const write = S3ResumableWrite.create(this.#context, { ...options, id, name }, this.#onEnded);
    this.#open.set(id, write);
    return write;
  }

  readonly #onEnded = ({ id }: { id: string }) => void this.#open.delete(id);

  /** See {@linkcode PartialUploads.find}. */
  async find(name: FileName, { size, owner = "" }: FindOptions): Promise<PartialUpload[]> {
    return (await this.#those(await idsOf(name, owner), owner))
      .filter(({ entry, size: whole }) => entry.filename === name && whole === size)
      .sort((a, b) => b.entry.mtime - a.entry.mtime);
  }

  /** See {@linkcode PartialUploads.list}. */
  async list(owner: string = ""): Promise<PartialUpload[]> {
    return await this.#those("", owner);
  }

  /** See {@linkcode PartialUploads.listAll}. */
  async listAll(): Promise<PartialUpload[]> {
    return await this.#those("");
  }

  /** The partial uploads whose ids begin with `ids`, of an owner or, by default, of all. */
  async #those(ids: string, owner?: string): Promise<KnownUpload[]> {
    const uploads = new Map<string, KnownUpload>();
    for await (const page of this.#context.records.all(ids)) {
      for (const { id, record, isHeld } of page) {
        if (record.owner !== (owner ?? record.owner)) continue;
        uploads.set(id, described(id, record, { active: isHeld }));
      }
    }
    // More is known of those that are written here.
    for (const [id, write] of this.#open) {
      if (!write?.known || write.owner !== (owner ?? write.owner) || !id.startsWith(ids)) continue;
      uploads.set(id, described(id, write.known, { active: true }));
    }
    return [...uploads.values()];
  }

  /** See {@linkcode PartialUploads.look}. */
  async look(id: string, { owner = "" }: LookOptions = {}): Promise<DescribedUpload | undefined> {
    const write = this.#open.get(id);
    if (write?.owner === owner && write.known) return described(id, write.known, { active: true });
    const stored = await this.#context.records.latest(id);
    if (stored?.record.owner !== owner) return undefined;
    return described(id, stored.record, { active: stored.isHeld || this.#open.has(id) });
  }

  /** See {@linkcode PartialUploads.resume}. SHA-256 has no state that can be saved, and parts cannot be read. */
  async resume(
    id: string,
    { algorithm, owner = "" }: ResumeOptions,
  ): Promise<ResumableWrite | undefined> {
    if (this.#open.has(id)) return undefined;
    this.#open.set(id, undefined);
    let write: S3ResumableWrite | undefined;
    try {
      const { served, records } = this.#context;
      const found = await records.latest(id);
      if (found?.record.owner !== owner) return undefined;
      const stored = await waitForHolder(found, this.#context);
      if (!stored) return undefined;
      const { record } = stored;
      await served.lookup.assertPlaceable(record.name);
      const options = { algorithm, proof: true };
      const prefix = await this.#prefixOf(record, options);
      if (prefix === undefined) return undefined;
      const parts = prefix && await this.#partsOf(record);
      if (!prefix || !parts) {
        await this.#drop(stored);
        return undefined;
      }
      const upload = { stored, parts, prefix };
      write = await S3ResumableWrite.resume(this.#context, upload, this.#onEnded);
      return write;
    } finally {
      if (write) this.#open.set(id, write);
      else this.#open.delete(id);
    }
  }

  /** The digest of the stored bytes; undefined if its state is not known for the algorithm, null if it is of no use. */
  async #prefixOf(
    { prefix }: UploadRecord,
    options: { algorithm: ResumeOptions["algorithm"]; proof: boolean },
  ): Promise<PrefixDigest | null | undefined> {
    if (prefix.size === 0) return null;
    try {
      const { digests } = this.#context.served.runtime;
      return await PrefixDigest.resume(prefix, options, digests) ??
        await PrefixDigest.resume(prefix, { ...options, proof: false }, digests);
    } catch {
      return null;
    }
  }

  /** The stored parts that a record counts; undefined if they are not what was recorded. */
  async #partsOf(
    { name, size, uploadId, parts, partsDigest, tail, prefix }: UploadRecord,
  ): Promise<readonly UploadedPart[] | undefined> {
    const { bucket, runtime } = this.#context.served;
    if (uploadId === undefined) return parts === 0 ? [] : undefined;
    const listed = await bucket.parts({ key: name, uploadId });
    const first = listed?.slice(0, parts);
    if (!first) return undefined;
    // Only the last part of a file may be smaller than the others.
    const mayBe = (part: UploadedPart, at: number) => {
      const full = fullPartBytes(size, at + 1);
      return part.number === at + 1 && (at === parts - 1 ? part.size <= full : part.size === full);
    };
    const bytes = first.reduce((sum, part) => sum + part.size, tail?.size ?? 0);
    const isWhole = first.length === parts && first.every(mayBe) && bytes === prefix.size &&
      (parts === 0 || digestOfETags(first, runtime.digests) === partsDigest);
    return isWhole ? first : undefined;
  }

  /** See {@linkcode PartialUploads.discard}. */
  async discard(id: string, { owner = "", assertMay }: DiscardOptions = {}): Promise<void> {
    const stored = await this.#context.records.latest(id);
    const isOpen = this.#open.has(id);
    if (stored?.record.owner !== owner && !(isOpen && this.#open.get(id)?.owner === owner)) {
      throw new FerryError("not_found", "no partial upload of that name is kept");
    }
    if (isOpen || !stored || stored.isHeld) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
    assertMay?.();
    await this.#drop(stored);
  }

  /** Removes a partial upload: its record last, so that the removal can be repeated. */
  async #drop({ id, record }: StoredRecord): Promise<void> {
    const { served, records } = this.#context;
    const upload = multipartOf(record);
    if (upload) await served.bucket.abort(upload);
    await records.remove(id);
  }

  /** See {@linkcode PartialUploads.expire}. Multipart uploads that no record knows expire as well. */
  async expire(ttl: number): Promise<void> {
    await expireUploads(this.#context, ttl, {
      isOpen: (id) => this.#open.has(id),
      drop: (stored) => this.#drop(stored),
    });
  }

  /** Ends the writes that are in progress. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.values()].map((write) => write?.[Symbol.asyncDispose]()));
  }
}

/** What clients see of a partial upload. */
function described(
  id: string,
  { name: filename, owner, size, prefix, written: mtime }: Pick<
    Recorded,
    "name" | "owner" | "size" | "prefix" | "written"
  >,
  { active }: { active: boolean },
): KnownUpload {
  const { size: received } = prefix;
  const entry = { filename, size: size ?? received, received, mtime, active };
  return { id, owner, entry, prefix, size };
}

/** The multipart upload of a record; undefined if none was begun. */
function multipartOf({ name, uploadId }: UploadRecord): MultipartUpload | undefined {
  return uploadId === undefined ? undefined : { key: name, uploadId };
}
