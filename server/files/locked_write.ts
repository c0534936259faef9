/**
 * Writes of uploads. A write that can be kept as a partial upload holds the lock on that for as long as it is open.
 *
 * @module
 */

import type { Clock } from "../../lib/core/clock.ts";
import type { Algorithm } from "../../lib/core/checksum.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { PrefixDigest, SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import type { Committed } from "../../lib/files/commit.ts";
import { RESUMABLE_BYTES } from "../../lib/files/partial_file.ts";
import type { PieceTarget } from "../../lib/files/stored_pieces.ts";
import type {
  AnnouncedAttributes,
  FileRange,
  PendingWrite,
  ResumableWrite,
  StoreOptions,
} from "../storage/storage.ts";
import type { WriteTarget as Target } from "../storage/staged_trees.ts";
import { keepTouched, type UploadLock, type UploadLocks } from "./upload_locks.ts";

/** What is written. */
export interface WriteSubject {
  /** The name that the file will get. */
  readonly name: FileName;
  /** The size of the whole file in bytes; null for a stream. */
  readonly size: number | null;
  /** The owner of the partial upload that may be kept. */
  readonly owner: string;
  /** Whether a partial upload is kept if the write is cut. Default: true. */
  readonly resumable?: boolean | undefined;
  /** Whether runs of zeros are stored as holes. Default: false. */
  readonly sparse?: boolean | undefined;
}

/** What arbitrates between the writers of partial uploads. */
export interface Arbitration {
  /** The locks of the server. */
  readonly locks: UploadLocks;
  /** Called when another writer takes the partial upload over: the write must be disposed of soon. */
  readonly onTakenOver?: (() => void) | undefined;
}

/** What is known of a write before its content comes. */
export interface Beginning {
  /** Whether it will replace an existing file of that name. */
  readonly replace: boolean;
  /** The attributes of the file, as far as they were announced. */
  readonly announced?: AnnouncedAttributes | undefined;
}

/** A write of an upload: a locked one if it can be kept as a partial upload. */
export type UploadWrite = PendingWrite | LockedWrite;

/**
 * Begins a write. Unless that is not wanted, it can be kept as a partial upload if the file is large enough and the
 * storage keeps partial uploads.
 *
 * @throws {FerryError} as `Storage.create`
 */
export function beginWrite(
  storage: Target,
  target: WriteSubject,
  arbitration: Arbitration & Beginning,
): Promise<UploadWrite> {
  const { name, size, sparse, resumable = true } = target;
  const { replace, announced } = arbitration;
  if (!resumable || !isResumable(storage, size)) {
    return storage.create(name, { size, sparse, replace, announced });
  }
  return LockedWrite.create(storage, target, arbitration);
}

/** Whether a file of that size can be written in pieces, in any order. */
export function takesPieces(storage: Pick<Target, "partialUploads">, size: number | null): boolean {
  return isResumable(storage, size) && (storage.partialUploads!.takesPieces ?? false);
}

/** Whether a partial upload can be kept of a file of that size. */
function isResumable(
  { partialUploads }: Pick<Target, "partialUploads">,
  size: number | null,
): boolean {
  return partialUploads !== undefined && size !== null && size > RESUMABLE_BYTES;
}

/** A resumable write that nobody else can resume while it is open. */
export class LockedWrite implements ResumableWrite {
  readonly #write: ResumableWrite;
  readonly #lock: UploadLock | undefined;
  /** The digest of all that was written in pieces. */
  #digest: PrefixDigest | undefined;

  private constructor(write: ResumableWrite, lock: UploadLock | undefined) {
    this.#write = write;
    this.#lock = lock;
  }

  /**
   * Begins a write and takes the lock on its partial upload. The lock is free, since nobody else knows the id yet.
   *
   * @throws {FerryError} as `PartialUploads.create`
   */
  static async create(
    { partialUploads }: Pick<Target, "partialUploads">,
    { name, size, sparse, owner }: WriteSubject,
    { replace, announced, locks, onTakenOver }: Arbitration & Beginning,
  ): Promise<LockedWrite> {
    const write = await partialUploads!.create(name, { size, sparse, replace, announced, owner });
    return new LockedWrite(write, await locks.take(write.id, onTakenOver));
  }

  /**
   * Resumes the most recent partial upload of a file that has no active writer.
   *
   * @returns undefined if there is none
   * @throws {FerryError} as `PartialUploads.resume`
   */
  static async resume(
    storage: Target,
    { name, size, sparse, owner }: WriteSubject,
    arbitration: Arbitration & { algorithm: Algorithm },
  ): Promise<LockedWrite | undefined> {
    if (!isResumable(storage, size)) return undefined;
    const partialUploads = storage.partialUploads!;
    for (const { id } of await partialUploads.find(name, { size: size!, owner })) {
      const write = await LockedWrite.resumeOne(storage, { id, owner, sparse }, arbitration);
      if (write) return write;
    }
    return undefined;
  }

  /**
   * Resumes a certain partial upload.
   *
   * @returns undefined if it has an active writer, or the owner has none with that id
   * @throws {FerryError} as `PartialUploads.resume`
   */
  static async resumeOne(
    { partialUploads }: Pick<Target, "partialUploads">,
    { id, owner, sparse }: { id: string; owner: string; sparse?: boolean | undefined },
    { algorithm, locks, onTakenOver }: Arbitration & { algorithm: Algorithm },
  ): Promise<LockedWrite | undefined> {
    const lock = await locks.take(id, onTakenOver);
    if (!lock) return undefined;
    using taken = new DisposableStack();
    taken.use(lock);
    const write = await partialUploads!.resume(id, { algorithm, owner, sparse });
    if (!write) return undefined;
    taken.move();
    return new LockedWrite(write, lock);
  }

  /** See {@linkcode ResumableWrite.id}. */
  get id(): string {
    return this.#write.id;
  }

  /** The digest of the bytes that are there already; undefined for a new file. */
  get prefix(): PrefixDigest | undefined {
    return this.#digest ?? this.#write.prefix;
  }

  /** See {@linkcode ResumableWrite.beginPieces}. */
  get beginPieces(): ((size: number) => PieceTarget) | undefined {
    if (!this.#write.beginPieces) return undefined;
    return (size) => {
      const target = this.#write.beginPieces!(size);
      const writeAt = (bytes: Uint8Array, offset: number) => {
        this.#lock?.touch();
        return target.writeAt(bytes, offset);
      };
      return { ...target, writeAt };
    };
  }

  /** Ends the writing at positions: `digest` is that of everything that was written. */
  endPieces(digest: PrefixDigest): void {
    this.#digest = digest;
  }

  /** Keeps the holder of the lock from counting as stalled until the returned value is disposed of. */
  keepTouched(clock: Clock): Disposable {
    return this.#lock ? keepTouched(this.#lock, clock) : { [Symbol.dispose]: () => {} };
  }

  /** See {@linkcode ResumableWrite.checkpoint}. */
  checkpoint(prefix: SavedPrefix): Promise<void> {
    return this.#write.checkpoint(prefix);
  }

  /** See {@linkcode ResumableWrite.keep}. */
  keep(): void {
    this.#write.keep();
  }

  /** Appends bytes, and records that the holder of the lock is active. */
  write(bytes: Uint8Array): Promise<void> {
    this.#lock?.touch();
    return this.#write.write(bytes);
  }

  /** See {@linkcode PendingWrite.writeCopied}. */
  get writeCopied(): ((bytes: Uint8Array, from: FileRange) => Promise<void>) | undefined {
    if (!this.#write.writeCopied) return undefined;
    return (bytes, from) => {
      this.#lock?.touch();
      return this.#write.writeCopied!(bytes, from);
    };
  }

  /** Publishes the file. */
  commit(options: StoreOptions): Promise<Committed> {
    this.#lock?.touch();
    return this.#write.commit(options);
  }

  /** Ends the write, then releases the lock. */
  async [Symbol.asyncDispose](): Promise<void> {
    using _lock = this.#lock;
    await this.#write[Symbol.asyncDispose]();
  }
}
