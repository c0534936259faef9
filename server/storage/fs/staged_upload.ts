/**
 * A file in a staging area while it is being written, and the record on the disk that makes it a partial upload.
 *
 * @module
 */

import type { PrefixDigest, SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import type { Directory } from "./open_directory.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { basename } from "../../../lib/core/paths.ts";
import { tryLock } from "../../../lib/files/file_lock.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import {
  type PartRecord,
  storedBytes,
  voidRecord,
  writeRecord,
} from "../../../lib/files/partial_file.ts";
import type { StoredPiece } from "../../../lib/files/stored_pieces.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { removedMeanwhile, type StagedFile } from "../../../lib/files/staged_file.ts";

/** A partial upload in a staging area. */
export interface Partial {
  /** Its record. */
  record: PartRecord;
  /** When it was last written, in milliseconds since 1970. */
  mtime: number;
  /** Whether a {@linkcode StagedUpload} of it is open or being opened. */
  open: boolean;
}

/** What a {@linkcode StagedUpload} needs of its staging area. */
export interface StagedUploadHost {
  /** Whether the area was reopened through another mount: its files then belong to the new area. */
  readonly ended: boolean;
  /** Whether other processes look for partial uploads in the area: one that is written to is locked then. */
  readonly isSeen: boolean;
  /** Fails if another process has taken the area. */
  assertHeld(): void;
  /** Called when a partial upload was recorded under that file name. */
  onRecorded(file: string, partial: Partial): void;
  /** Called when there is no longer a partial upload under that file name. */
  onUnrecorded(file: string): void;
  /** Removes the record of that file from the directory of the area. */
  forget(file: string, directory: Directory): void;
  /** Called when an upload was closed. */
  onClosed(): void;
}

/** Options of {@linkcode StagedUpload}. */
export interface StagedUploadOptions {
  /** The file, which is locked while it is open. */
  staged: StagedFile;
  /** The directory of the area, which is disposed of with the upload. */
  directory: Directory;
  /** The name that the file will get. */
  filename: string;
  /** The size of the whole file in bytes; null for a stream. */
  size: number | null;
  /** The owner of the partial upload. */
  owner: string;
  /** The partial upload that is resumed, with the digest of its bytes; undefined for a new file. */
  resumed?: { partial: Partial; prefix: PrefixDigest } | undefined;
}

/** A file in a staging area that is open for one writer. */
export class StagedUpload implements AsyncDisposable {
  /** The file. */
  readonly staged: StagedFile;
  /** The digest of the bytes that were already stored when it was opened. */
  readonly prefix: PrefixDigest | undefined;
  readonly #host: StagedUploadHost;
  readonly #options: StagedUploadOptions;
  #partial: Partial | undefined;
  /** Holds the lock on a new file that other processes see; a resumed one is locked in any case. */
  #lock: Deno.FsFile | undefined;
  #keeping = false;
  #closed = false;

  /** Creates an upload into a file of the area `host`. */
  constructor(host: StagedUploadHost, options: StagedUploadOptions) {
    this.#host = host;
    this.#options = options;
    this.staged = options.staged;
    this.#partial = options.resumed?.partial;
    this.prefix = options.resumed?.prefix;
    if (this.#partial) this.#partial.open = true;
  }

  /** The name of the file in the area. */
  get file(): string {
    return basename(this.staged.path);
  }

  /**
   * Fails if another process has taken the staging area.
   *
   * @throws {FerryError} `busy`
   */
  assertHeld(): void {
    this.#host.assertHeld();
  }

  /**
   * Records on the disk how much of the file is stored.
   *
   * @param pieces what is stored beyond its first bytes, in ascending order. Default: nothing
   * @throws {FerryError} `busy` if another program has removed the file; the error if the record cannot be written
   */
  checkpoint(prefix: SavedPrefix, pieces: readonly StoredPiece[] = []): void {
    this.assertHeld();
    const { path } = this.staged;
    if (!isTaken(path)) throw removedMeanwhile();
    const { filename, size, owner, directory } = this.#options;
    let record: PartRecord;
    try {
      this.staged.settle();
      if (this.#host.isSeen && !this.#partial) this.#lockFile();
      const beyond = pieces.length > 0 ? { pieces } : {};
      const facts = { filename, size, checksum: null, prefix, owner, ...beyond };
      record = writeRecord(path, facts, { exactly: true });
    } catch (error) {
      // The runtime may throw any error for a path that leads nowhere.
      if (!directory.isCutOff) throw error;
      const reason = "the file system that it is staged on is not mounted any more";
      throw new FerryError("io", reason, { cause: error });
    }
    const partial = this.#partial ??= { record, mtime: 0, open: true };
    partial.record = record;
    partial.mtime = this.staged.runtime.clock.now();
    this.#host.onRecorded(this.file, partial);
  }

  #lockFile(): void {
    this.#lock ??= openExactly(this.staged.path, { read: true, write: true });
    tryLock(this.#lock);
  }

  /** Makes disposal keep the file if it was ever recorded. */
  keep(): void {
    this.#keeping = true;
  }

  /**
   * Invalidates the record. MUST be called before the file is renamed, so that no process takes a visible file for a
   * partial upload.
   *
   * @throws {FerryError} why the record cannot be invalidated
   */
  unrecord(): void {
    this.assertHeld();
    if (!this.#partial) return;
    voidRecord(this.staged.path);
    this.#host.onUnrecorded(this.file);
  }

  /** The pieces that are recorded beyond its first bytes, in ascending order. */
  get pieces(): readonly StoredPiece[] {
    return this.#partial?.record.pieces ?? [];
  }

  /** How many bytes are recorded. */
  get stored(): number {
    return this.#partial ? storedBytes(this.#partial.record) : 0;
  }

  /** How many bytes remain stored after disposal. */
  get left(): number {
    return this.#keeping ? this.stored : 0;
  }

  /** Closes the file, and removes it unless it is to be kept. Never fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    using directory = this.#options.directory;
    using _lock = this.#lock;
    const partial = this.#partial;
    if (this.#host.ended || this.#keeping && partial) this.staged.keep();
    else if (partial) this.#host.forget(this.file, directory);
    await this.staged[Symbol.asyncDispose]();
    if (partial) partial.open = false;
    this.#host.onClosed();
  }
}
