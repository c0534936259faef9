// deno-lint-ignore-file require-await -- a storage is asynchronous, and memory is not
/**
 * Uploads into memory, and the partial uploads that are kept of them.
 *
 * @module
 */

import { PrefixDigest, type SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { Committed } from "../../../lib/files/commit.ts";
import { GrowingBytes } from "./memory_tree.ts";
import type { Quota, Reservation } from "../quota.ts";
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
  StoreOptions,
} from "../storage.ts";

/** An upload that is running, or was interrupted. */
export interface MemoryUpload {
  /** See {@linkcode PartialUpload.id}. */
  readonly id: string;
  /** The name that the file will get. */
  readonly filename: FileName;
  /** The owner of the partial upload. */
  readonly owner: string;
  /** The announced size in bytes; null for a stream. */
  readonly size: number | null;
  /** The bytes written so far. */
  readonly bytes: GrowingBytes;
  /** The last checkpoint. */
  prefix: SavedPrefix;
  /** The time of the last checkpoint, in milliseconds since 1970. */
  mtime: number;
  /** Whether a write of it is open. */
  open: boolean;
}

/** Options of {@linkcode MemoryUploads}. */
export interface MemoryUploadsOptions {
  /** Provides digests and the clock. */
  runtime: Runtime;
  /** The quota from which uploads reserve their bytes. */
  quota: Quota;
  /** Fails if no file could be created under a name. */
  assertPlaceable(name: FileName): void;
  /** Publishes an upload under its name. */
  publish(upload: MemoryUpload, options: StoreOptions): Promise<Committed>;
}

/** The uploads into a memory storage. */
export class MemoryUploads implements PartialUploads {
  readonly #options: MemoryUploadsOptions;
  /** The uploads with at least one checkpoint, by their ids. */
  readonly #partials = new Map<string, MemoryUpload>();
  readonly #writes = new Set<MemoryWrite>();

  /** Creates an object without uploads. */
  constructor(options: MemoryUploadsOptions) {
    this.#options = options;
  }

  async create(
    name: FileName,
    { size, owner = "" }: CreateResumableOptions,
  ): Promise<ResumableWrite> {
    this.#options.assertPlaceable(name);
    const reserved = this.#options.quota.reserve(size);
    const [id, bytes] = [crypto.randomUUID(), new GrowingBytes()];
    const upload = {
      id,
      filename: name,
      owner,
      size,
      bytes,
      prefix: { size: 0 },
      mtime: 0,
      open: true,
    };
    return this.#begin(upload, reserved);
  }

  #begin(upload: MemoryUpload, reserved: Reservation, prefix?: PrefixDigest): MemoryWrite {
    upload.open = true;
    const write: MemoryWrite = new MemoryWrite(upload, {
      clock: this.#options.runtime.clock,
      prefix,
      reserved,
      publish: (options) => this.#options.publish(upload, options),
      onRecorded: () => void this.#partials.set(upload.id, upload),
      onEnded: ({ kept }) => {
        if (!kept) this.#partials.delete(upload.id);
        this.#writes.delete(write);
      },
    });
    this.#writes.add(write);
    return write;
  }

  async find(name: FileName, { size, owner = "" }: FindOptions): Promise<PartialUpload[]> {
    this.#options.assertPlaceable(name);
    return (await this.list(owner))
      .filter(({ id, entry }) => entry.filename === name && this.#partials.get(id)?.size === size)
      .sort((a, b) => b.entry.mtime - a.entry.mtime);
  }

  async list(owner = ""): Promise<PartialUpload[]> {
    return [...this.#partials.values()].filter((upload) => upload.owner === owner).map(described);
  }

  async listAll(): Promise<PartialUpload[]> {
    return [...this.#partials.values()].map(described);
  }

  async look(id: string, { owner = "" }: LookOptions = {}): Promise<DescribedUpload | undefined> {
    const upload = this.#partials.get(id);
    return upload?.owner === owner ? described(upload) : undefined;
  }

  async resume(
    id: string,
    { algorithm, owner = "" }: ResumeOptions,
  ): Promise<ResumableWrite | undefined> {
    const upload = this.#partials.get(id);
    if (upload?.owner !== owner || upload.open) return undefined;
    const { filename, size, prefix: { size: received }, bytes } = upload;
    this.#options.assertPlaceable(filename);
    using taken = new DisposableStack();
    const reserved = taken.use(this.#options.quota.reserve(size, received));
    upload.open = true;
    taken.defer(() => void (upload.open = false));
    const prefix = await PrefixDigest.create(
      { algorithm, proof: true },
      this.#options.runtime.digests,
    );
    prefix.update(bytes.view());
    taken.move();
    return this.#begin(upload, reserved, prefix);
  }

  async discard(id: string, { owner = "", assertMay }: DiscardOptions = {}): Promise<void> {
    const upload = this.#partials.get(id);
    if (upload?.owner !== owner) {
      throw new FerryError("not_found", "no partial upload of that name is kept");
    }
    if (upload.open) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
    assertMay?.();
    this.#drop(upload);
  }

  async expire(ttl: number): Promise<void> {
    const now = this.#options.runtime.clock.now();
    for (const upload of this.#partials.values()) {
      if (!upload.open && upload.mtime <= now - ttl) this.#drop(upload);
    }
  }

  #drop({ id, prefix }: MemoryUpload): void {
    this.#partials.delete(id);
    this.#options.quota.count(-prefix.size);
  }

  /** Ends the writes that are in progress. */
  async close(): Promise<void> {
    for (const write of this.#writes) await write[Symbol.asyncDispose]();
  }
}

function described(
  { id, owner, filename, size, prefix, mtime, open }: MemoryUpload,
): DescribedUpload {
  const { size: received } = prefix;
  const entry = { filename, size: size ?? received, received, mtime, active: open };
  return { id, owner, entry, prefix };
}

/** Options of {@linkcode MemoryWrite}. */
interface MemoryWriteOptions {
  clock: Clock;
  prefix: PrefixDigest | undefined;
  reserved: Reservation;
  /** Publishes the bytes under their name. */
  publish(options: StoreOptions): Promise<Committed>;
  /** Called at the first checkpoint: the upload can be resumed if it is kept. */
  onRecorded(): void;
  /** Called when the write has ended. */
  onEnded(end: { kept: boolean }): void;
}

class MemoryWrite implements ResumableWrite {
  readonly id: string;
  readonly prefix: PrefixDigest | undefined;
  readonly #upload: MemoryUpload;
  readonly #options: MemoryWriteOptions;
  #keeping = false;
  #ended = false;

  constructor(upload: MemoryUpload, options: MemoryWriteOptions) {
    this.id = upload.id;
    this.prefix = options.prefix;
    this.#upload = upload;
    this.#options = options;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    const { bytes: written } = this.#upload;
    this.#options.reserved.grow(written.size + bytes.length);
    written.push(bytes);
  }

  async checkpoint(prefix: SavedPrefix): Promise<void> {
    this.#assertOpen();
    this.#upload.prefix = prefix;
    this.#upload.mtime = this.#options.clock.now();
    this.#options.onRecorded();
  }

  keep(): void {
    this.#keeping = true;
  }

  async commit(options: StoreOptions): Promise<Committed> {
    this.#assertOpen();
    const committed = await this.#options.publish(options);
    this.#end({ left: committed.unchanged ? 0 : committed.size, kept: false });
    return committed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    const { prefix: { size: received }, bytes } = this.#upload;
    const kept = this.#keeping && received > 0;
    if (kept) bytes.truncate(received);
    this.#end({ left: kept ? received : 0, kept });
  }

  #end({ left, kept }: { left: number; kept: boolean }): void {
    this.#ended = true;
    this.#upload.open = false;
    this.#options.reserved.settle(left);
    this.#options.onEnded({ kept });
  }

  #assertOpen(): void {
    if (this.#ended) throw new FerryError("closed", "the write has ended");
  }
}
