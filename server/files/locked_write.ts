/**
 * A write into a storage together with the lock on the partial upload that may remain of it.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { PrefixDigest, SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import type { CommitOptions, Committed } from "../../lib/files/commit.ts";
import { RESUMABLE_BYTES } from "../../lib/files/partial_file.ts";
import type { PendingWrite, ResumableWrite, Storage } from "../storage/storage.ts";
import type { UploadLock, UploadLocks } from "./upload_locks.ts";

/** What a write is for. */
export interface WriteTarget {
  /** The name that the file gets. */
  readonly name: FileName;
  /** The size of the whole file in bytes; null for a stream. */
  readonly size: number | null;
  /** Whose the partial upload is that may remain. */
  readonly owner: string;
}

/** How the writers of partial uploads are arbitrated. */
export interface Arbitration {
  /** The locks of the server. */
  readonly locks: UploadLocks;
  /** Called when another writer takes the partial upload over: the write must be disposed of soon. */
  readonly onTakenOver?: (() => void) | undefined;
}

/** A write that nobody else has. */
export class LockedWrite implements AsyncDisposable {
  readonly #write: PendingWrite;
  /** Undefined where nothing can remain of the write. */
  readonly #resumable: ResumableWrite | undefined;
  readonly #lock: UploadLock | undefined;

  private constructor(write: PendingWrite, resumable?: ResumableWrite, lock?: UploadLock) {
    this.#write = write;
    this.#resumable = resumable;
    this.#lock = lock;
  }

  /**
   * Begins a write. A partial upload can remain of files that are large enough, where the storage keeps some.
   *
   * @param replace whether it will replace a file of that name
   * @throws {FerryError} as `Storage.create`
   */
  static async create(
    storage: Storage,
    { name, size, owner }: WriteTarget,
    { replace, locks, onTakenOver }: Arbitration & { replace: boolean },
  ): Promise<LockedWrite> {
    const { partialUploads } = storage;
    if (!partialUploads || size === null || size <= RESUMABLE_BYTES) {
      return new LockedWrite(await storage.create(name, { size, replace }));
    }
    const write = await partialUploads.create(name, { size, replace, owner });
    return new LockedWrite(write, write, await locks.take(write.id, onTakenOver));
  }

  /**
   * Resumes the partial upload of a file that was written last and that no busy writer has.
   *
   * @returns undefined where there is none
   * @throws {FerryError} as `PartialUploads.resume`
   */
  static async resume(
    { partialUploads }: Storage,
    { name, size, owner }: WriteTarget,
    { algorithm, locks, onTakenOver }: Arbitration & { algorithm: Algorithm },
  ): Promise<LockedWrite | undefined> {
    if (!partialUploads || size === null || size <= RESUMABLE_BYTES) return undefined;
    for (const { id } of await partialUploads.find(name, { size, owner })) {
      const lock = await locks.take(id, onTakenOver);
      if (!lock) continue;
      using taken = new DisposableStack();
      taken.use(lock);
      const write = await partialUploads.resume(id, { algorithm, owner });
      if (!write) continue;
      taken.move();
      return new LockedWrite(write, write, lock);
    }
    return undefined;
  }

  /** The digest of the bytes that were there when it was resumed; undefined for a new file. */
  get prefix(): PrefixDigest | undefined {
    return this.#resumable?.prefix;
  }

  /** Records how much is written; undefined where nothing can remain of the write. */
  get checkpoint(): ((prefix: SavedPrefix) => Promise<void>) | undefined {
    const resumable = this.#resumable;
    return resumable && ((prefix) => resumable.checkpoint(prefix));
  }

  /** Appends bytes. */
  write(bytes: Uint8Array): Promise<void> {
    this.#lock?.touch();
    return this.#write.write(bytes);
  }

  /** Publishes the file. */
  commit(options: CommitOptions): Promise<Committed> {
    this.#lock?.touch();
    return this.#write.commit(options);
  }

  /** Makes disposal keep the partial upload, where there is one. */
  keep(): void {
    this.#resumable?.keep();
  }

  /** Ends the write, then releases the lock. */
  async [Symbol.asyncDispose](): Promise<void> {
    using _lock = this.#lock;
    await this.#write[Symbol.asyncDispose]();
  }
}
