/**
 * The uploads of a client that goes on with them by their ids: which there are, where their bytes are, and how far they
 * have come.
 *
 * @module
 */

import { type Algorithm, type Checksum, emptyChecksum } from "../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { type FileName, parseFileName } from "../../lib/core/remote_name.ts";
import { PrefixDigest, type SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Permit } from "../auth/permit.ts";
import type { DescribedUpload, Storage } from "../storage/storage.ts";
import { type AddressedUpload, UploadExpired } from "./addressed_upload.ts";
import { type RecordKeeper, type UploadRecord, UploadRecords } from "./upload_records.ts";

/** What an {@linkcode UploadRegister} needs. */
export interface UploadRegisterOptions {
  /** The storage of the server. */
  readonly storage: Storage;
  /** The same storage, within the bounds of the permit. */
  readonly confined: Storage;
  /** Provides digests and the clock. */
  readonly runtime: Runtime;
  /** Keeps the records of the uploads. */
  readonly records: RecordKeeper;
  /** How long an upload is kept after its last byte, in milliseconds. */
  readonly ttl: number;
}

/** An upload and its record. */
export interface KnownUpload {
  /** Its id. */
  readonly id: string;
  /** Its record, which {@linkcode UploadRegister.write} replaces. */
  record: UploadRecord;
}

/** Where the bytes of an upload are kept, and under which name they are published. */
export interface Place {
  /** The storage. */
  readonly storage: Storage;
  /** The name there. */
  readonly name: FileName;
}

/**
 * The name of the file of an upload, about which permission has to be asked.
 *
 * @throws {FerryError} `not_found`
 */
export async function filenameOf(records: RecordKeeper, id: string): Promise<string> {
  const record = await new UploadRecords(records).read(id);
  if (!record) throw unknownUpload();
  return record.filename;
}

/** The key of the lock on an upload. */
export function lockOf(id: string): string {
  return `addressed/${id}`;
}

/**
 * Where the bytes of an upload are kept, and under which name they are published.
 *
 * @param confined the storage within the bounds of a request. Default: `storage`
 * @throws {FerryError} `usage` for a part if the storage has no place for parts
 */
async function placeOf(
  storage: Storage,
  { id, record }: KnownUpload,
  confined: Storage = storage,
): Promise<Place> {
  if (record.kind !== "part") return { storage: confined, name: parseFileName(record.filename) };
  const internal = await storage.internal?.();
  if (!internal?.partialUploads) {
    throw new FerryError("usage", "the storage of this server does not put parts together");
  }
  return { storage: internal, name: parseFileName(`parts/${id}`) };
}

/** The partial upload with the bytes of an upload, if there is one. */
export async function partialOf(
  storage: Storage,
  known: KnownUpload,
): Promise<DescribedUpload | undefined> {
  const { partial, owner } = known.record;
  if (partial === undefined) return undefined;
  const place = await placeOf(storage, known);
  return await place.storage.partialUploads!.look(partial, { owner });
}

/**
 * Discards the bytes of an upload. A file that it has become stays, unless it is a part.
 *
 * @throws {FerryError} `busy` if they are being written
 */
export async function discardBytes(
  storage: Storage,
  known: KnownUpload,
  assertMay?: () => void,
): Promise<void> {
  const { partial, owner, kind, stored } = known.record;
  const place = await placeOf(storage, known);
  try {
    if (partial) await place.storage.partialUploads!.discard(partial, { owner, assertMay });
    assertMay?.();
    if (kind === "part" && stored) await place.storage.remove(place.name, { recursive: false });
  } catch (error) {
    if (toFerryError(error).code !== "not_found") throw error;
  }
}

/** The uploads of the client that has a permit. */
export class UploadRegister {
  readonly #permit: Permit;
  readonly #options: UploadRegisterOptions;
  readonly #records: UploadRecords;

  /** The uploads of that client. */
  constructor(permit: Permit, options: UploadRegisterOptions) {
    this.#permit = permit;
    this.#options = options;
    this.#records = new UploadRecords(options.records);
  }

  /**
   * The upload with an id.
   *
   * @throws {UploadExpired}
   * @throws {FerryError} `not_found` if the owner has none
   */
  async own(id: string): Promise<KnownUpload> {
    const known = await this.find(id);
    if (!known) throw unknownUpload();
    const heard = this.#now() - this.#options.ttl;
    if (known.record.touched <= heard) {
      const partial = await this.partial(known);
      if (!partial || partial.entry.mtime <= heard) throw new UploadExpired();
    }
    return known;
  }

  /** The upload with an id, expired or not; undefined if the owner has none. */
  async find(id: string): Promise<KnownUpload | undefined> {
    const record = await this.#records.read(id);
    return record?.owner === this.#permit.owner ? { id, record } : undefined;
  }

  /** Forgets an upload. */
  async remove(id: string): Promise<void> {
    await this.#records.remove(id);
  }

  /** Where the bytes of an upload are kept, and under which name they are published. */
  place(known: KnownUpload): Promise<Place> {
    return placeOf(this.#options.storage, known, this.#options.confined);
  }

  /** The partial upload with the bytes of an upload, if there is one. */
  partial(known: KnownUpload): Promise<DescribedUpload | undefined> {
    return partialOf(this.#options.storage, known);
  }

  /** Finds out whether the file was published by a request that was not able to record that. */
  async settle(held: KnownUpload): Promise<void> {
    const { stored, publishing } = held.record;
    if (stored || !publishing || await this.partial(held)) return;
    const { storage, name } = await this.place(held);
    const { algorithm } = held.record;
    const there = await storage.find(name, algorithm);
    if (there?.type !== "file" || there.size !== publishing.size) return;
    const checksum = await this.#permit.wait(storage.checksum(name, algorithm));
    if (checksum !== publishing.checksum) return;
    await this.write(held, { stored: publishing, partial: undefined, publishing: undefined });
  }

  /** Records changes of an upload, and that its client was heard of. */
  async write(held: KnownUpload, changes: Partial<UploadRecord>): Promise<void> {
    held.record = { ...held.record, ...changes, touched: this.#now() };
    await this.#records.write(held.id, held.record);
  }

  /** What the client is told about an upload. */
  async described(held: KnownUpload): Promise<AddressedUpload> {
    const { id, record } = held;
    const { kind, filename, size, algorithm, note, parts, stored, touched } = record;
    const partial = stored ? undefined : await this.partial(held);
    const offset = stored ? size ?? stored.size : partial?.prefix.size ?? 0;
    const heard = Math.max(touched, partial?.entry.mtime ?? 0);
    return {
      ...{ id, kind, filename, size, offset, note, parts, stored },
      prefix: stored?.checksum ?? await this.#checksumOf(partial?.prefix, algorithm),
      expires: heard + this.#options.ttl,
    };
  }

  async #checksumOf(prefix: SavedPrefix | undefined, algorithm: Algorithm): Promise<Checksum> {
    if (!prefix) return emptyChecksum(algorithm);
    const { digests } = this.#options.runtime;
    const digest = await PrefixDigest.resume(prefix, { algorithm, proof: false }, digests);
    if (!digest) throw new FerryError("io", "the digest of the bytes that came is not known");
    return digest.checksum();
  }

  #now(): number {
    return this.#options.runtime.clock.now();
  }
}

function unknownUpload(): FerryError {
  return new FerryError("not_found", "there is no upload of that id");
}
