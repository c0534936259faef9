/**
 * What a server keeps files in: a tree of files and directories, local or remote.
 *
 * {@linkcode Storage} is what every implementation owes; {@linkcode PartialUploads} is an ability that it may have
 * besides. On an object store, a {@linkcode PendingWrite} is one PUT, and a {@linkcode ResumableWrite} a multipart
 * upload: `write` fills its parts, `commit` completes it, disposal aborts it.
 *
 * Every implementation passes `tests/storage/conformance.ts`.
 *
 * @module
 */

import type { ByteSource } from "../../lib/core/bytes.ts";
import type { CommitOptions, Committed } from "../../lib/files/commit.ts";
import type { PrefixDigest, SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { FerryError } from "../../lib/core/errors.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { Entry, Listed, PartEntry } from "../../lib/core/entry.ts";

/** Options of {@linkcode Storage.create}. */
export interface CreateOptions {
  /** The announced size in bytes; null for a stream. An implementation MAY refuse early for it. */
  size: number | null;
  /**
   * Whether a file of that name will be replaced. Where it will not, an implementation MAY leave it to the commit to
   * find the name taken. Default: undefined, it is not known yet.
   */
  replace?: boolean | undefined;
}

/** Options of {@linkcode PartialUploads.create}. */
export interface CreateResumableOptions extends CreateOptions {
  /** The announced size in bytes. */
  size: number;
  /** Whose the partial upload will be. Default: "", the clients that nothing tells apart. */
  owner?: string | undefined;
}

/** Options of {@linkcode PartialUploads.find}. */
export interface FindOptions {
  /** The size of the whole file in bytes. */
  size: number;
  /** Whose it has to be. Default: "". */
  owner?: string | undefined;
}

/** Options of {@linkcode PartialUploads.resume}. */
export interface ResumeOptions {
  /** The algorithm that the whole file will be verified with. */
  algorithm: Algorithm;
  /** Whose it has to be. Default: "". */
  owner?: string | undefined;
}

/** Options of {@linkcode Storage.list}. */
export interface ListOptions {
  /** Whether directories are descended into. */
  recursive: boolean;
  /**
   * Whether omissions are listed: what cannot be shown, in its place in the order, with the reason. What is being
   * written, belongs to the storage itself, or is out of bounds MUST NOT be among them. Default: false.
   */
  omitted?: boolean | undefined;
}

/** Options of {@linkcode Storage.remove}. */
export interface RemoveOptions {
  /** Whether a directory is deleted, with all that is in it. */
  recursive: boolean;
  /** Stops the removal with the reason of the abort; what is deleted by then stays deleted. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode Storage.move}. */
export interface MoveOptions extends ChangeOptions {
  /** Whether a file may take the place of another file. */
  replace: boolean;
  /** Stops the move while data is copied, with the reason of the abort; nothing has moved then. */
  signal?: AbortSignal | undefined;
}

/** Options of operations that change names. */
export interface ChangeOptions {
  /** MUST be called right before anything is changed; what it throws keeps everything as it is. */
  assertMay?: (() => void) | undefined;
}

/** Options of {@linkcode PartialUploads.discard}. */
export interface DiscardOptions extends ChangeOptions {
  /** Whose it has to be. Default: "". */
  owner?: string | undefined;
}

/** A file that is being written and that nobody can see yet. */
export interface PendingWrite extends AsyncDisposable {
  /**
   * Appends bytes. MUST have taken all of them, or have failed, when it resolves; the caller may overwrite them
   * afterwards. Calls MUST NOT overlap.
   *
   * @throws {FerryError} `no_space`, `quota`, `too_large`, `io`
   */
  write(bytes: Uint8Array): Promise<void>;

  /**
   * Publishes the file under its name atomically: a reader sees the old file, the new one, or none, never a mixture.
   * Where the storage is durable it MUST NOT resolve before the file would survive a loss of power. MUST be called at
   * most once. Several pending writes MAY be committed at the same time; the storage may flush them together, in the
   * order of the calls.
   *
   * With `replace` false an existing file MUST stay: the commit resolves as `unchanged` where its content is
   * identical, and fails with `exists` otherwise.
   *
   * @throws {FerryError} `exists`; `not_a_file` where the name is a directory or a part of it is a file; `no_space`,
   * `denied`, `io`
   */
  commit(options: CommitOptions): Promise<Committed>;

  /** Throws away what was not committed, and leaves nothing behind. MUST NOT fail, MAY be repeated. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A pending write of which a partial upload can be kept, to be resumed. */
export interface ResumableWrite extends PendingWrite {
  /** Names the partial upload: unique in the storage, and the same each time that it is resumed. */
  readonly id: string;

  /** The digest of the bytes that were there when it was resumed; undefined for a new file. */
  readonly prefix: PrefixDigest | undefined;

  /**
   * Records how much has been written; `prefix` describes all of it. After a crash of the process the storage SHOULD be
   * able to resume from the last record.
   *
   * @throws {FerryError} `busy`, `no_space`, `io`
   */
  checkpoint(prefix: SavedPrefix): Promise<void>;

  /** Makes disposal keep the partial upload as far as the last {@linkcode ResumableWrite.checkpoint} recorded it. */
  keep(): void;
}

/** A partial upload that is kept or being written. */
export interface PartialUpload {
  /** The same as {@linkcode ResumableWrite.id}. */
  readonly id: string;
  /** What clients are told; it is `active` while a {@linkcode ResumableWrite} of it is open. */
  readonly entry: PartEntry;
}

/**
 * Keeps partial uploads: what arrived of a file before its upload was interrupted. There may be several of one name.
 * One exists from the first checkpoint of a {@linkcode ResumableWrite} on.
 *
 * One writer at a time may have one; which one that is, is decided by the caller, by `UploadLocks`.
 */
export interface PartialUploads {
  /**
   * The partial uploads of a file that can be resumed, or are being written, the one written last first.
   *
   * @throws {FerryError} as {@linkcode Storage.create}
   */
  find(name: FileName, options: FindOptions): Promise<PartialUpload[]>;

  /** All partial uploads of an owner, in any order. Default: "". */
  list(owner?: string): Promise<PartialUpload[]>;

  /**
   * Begins a write that can be interrupted and resumed.
   *
   * @throws {FerryError} as {@linkcode Storage.create}
   */
  create(name: FileName, options: CreateResumableOptions): Promise<ResumableWrite>;

  /**
   * Opens a partial upload to write the rest of the file. MUST know the digest of what is there, and MAY read it for
   * that. What turns out to be damaged is thrown away.
   *
   * @param id as in {@linkcode PartialUpload}
   * @returns undefined where there is none of that owner, it is worthless, or it is open already
   * @throws {FerryError} as {@linkcode Storage.create}; it is kept then
   */
  resume(id: string, options: ResumeOptions): Promise<ResumableWrite | undefined>;

  /**
   * Removes a partial upload.
   *
   * @param id as in {@linkcode PartialUpload}
   * @throws {FerryError} `not_found` where there is none of that owner, `busy` where it is open
   */
  discard(id: string, options?: DiscardOptions): Promise<void>;

  /** Removes those of all owners that are not open and were written last more than `ttl` milliseconds ago. */
  expire(ttl: number): Promise<void>;
}

/** A file that is open for reading. It stays the same file even if its name is given to another. */
export interface StoredFile extends ByteSource, AsyncDisposable {
  /** Makes the next read begin at that byte. */
  seek(offset: number): void;

  /** What was true when it was opened; `checksum` is null where it is not known without reading the file. */
  readonly entry: Entry;

  /**
   * Tells the storage the checksum of what was read, in full and unchanged, so that it need not read it again. It MUST
   * NOT rely on it later unless any change since the file was opened would show.
   */
  remember(checksum: Checksum): Promise<void>;
}

/**
 * What a request may reach where symbolic links lead elsewhere than the names in it say. Paths have their components
 * separated by `/` and are relative to the root, which is ""; they may climb by components that are "..".
 */
export interface Bounds {
  /**
   * Whether the request may be about what stands at that path.
   *
   * @throws {FerryError} where the request may not go on at all; the operation fails with that
   */
  reaches(path: string): boolean;
  /** Whether a move may bring to that path what stood at another one, which has no links in it. */
  takes(path: string, from: string): boolean;
}

/** A tree of files. */
export interface Storage extends AsyncDisposable {
  /** Keeps partial uploads. Default: undefined, every upload begins anew. */
  readonly partialUploads?: PartialUploads | undefined;

  /**
   * The directory of this machine that clients write to, from which a server runs no program. Default: undefined, the
   * files are kept elsewhere.
   */
  readonly root?: string | undefined;

  /** What it cannot promise to its users, as sentences in English. Default: undefined, nothing. */
  readonly shortcomings?: readonly string[] | undefined;

  /**
   * The same storage, confined for one request: each path that a link leads to is asked about before anything is looked
   * at there. Where the answer is no, the operation fails with `denied`, whether anything is there or not, and lists
   * leave such links out. What was begun within bounds stays in them to its end. A storage without links MAY return
   * itself. The result need not be disposed of.
   */
  within(bounds: Bounds): Storage;

  /**
   * Fails where nothing can be served now, because the disk is gone, say; every other operation fails then as well.
   *
   * @throws {FerryError} `io`
   */
  assertServing(): Promise<void>;

  /**
   * Tells what stands under a name; "" is the root. `checksum`, an md5 unless another algorithm is asked for, is null
   * where it is not known without reading.
   *
   * @throws {FerryError} `not_found`; `not_a_file` for what is neither file nor directory
   */
  stat(name: FileName | "", algorithm?: Algorithm): Promise<Entry>;

  /** The same, or undefined where nothing is: for names that are probably new. */
  find(name: FileName | "", algorithm?: Algorithm): Promise<Entry | undefined>;

  /** The same for many names, in their order; errors are given in the place of the entries. */
  findAll(
    names: readonly FileName[],
    algorithm?: Algorithm,
  ): Promise<(Entry | FerryError | undefined)[]>;

  /**
   * Lists what is below a directory, each directory before its content, the names of one directory in the order of
   * their UTF-8 bytes. MUST NOT show what is being written, nor what is neither file nor directory. What disappears
   * meanwhile is left out.
   *
   * @throws {FerryError} `not_found`, `not_a_file`; `denied` or `io` where the directory cannot be read
   */
  list(name: FileName | "", options: ListOptions): AsyncIterable<Listed>;

  /**
   * Opens a file for reading; its entry tells the checksum of that algorithm.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `denied`
   */
  open(name: FileName, algorithm: Algorithm): Promise<StoredFile>;

  /**
   * The checksum of a file's content, remembered or read.
   *
   * @throws {FerryError} as {@linkcode Storage.open}; `io` where the file changes meanwhile
   */
  checksum(name: FileName, algorithm: Algorithm): Promise<Checksum>;

  /**
   * Fails where a write of that size would be refused at once. It reserves nothing, and MAY do nothing.
   *
   * @param size bytes; null for a stream
   * @throws {FerryError} as {@linkcode Storage.create}
   */
  assertFits(name: FileName, size: number | null): Promise<void>;

  /**
   * Begins a write. Nothing is visible before its commit: no file, no directory above it.
   *
   * @throws {FerryError} `not_a_file` where the name is a directory or a part of it is a file; `too_large`, `quota`,
   * `no_space`, `denied`
   */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite>;

  /**
   * Deletes a file, or with `recursive` a directory and what is in it. What cannot be deleted stays with the directories
   * above it, and all the rest is deleted.
   *
   * @throws {FerryError} `not_found`, `not_a_file` for a directory without `recursive`, `denied`; `exists` or `busy`
   * where others keep changing what is in it
   */
  remove(name: FileName, options: RemoveOptions): Promise<void>;

  /**
   * Renames a file or a directory, and makes the directories above the new name. A file may replace another file; a
   * directory never takes the place of anything. Where the move takes a copy, the copy MUST NOT be visible under the new
   * name before it is whole and verified, and the old name MUST stay until then.
   *
   * @throws {FerryError} `not_found`, `exists`, `not_a_file`, `bad_name` for a directory into itself; `no_space`,
   * `denied`, `io` where it is copied
   */
  move(from: FileName, to: FileName, options: MoveOptions): Promise<void>;

  /**
   * Makes a directory and those above it; one that exists is no error.
   *
   * @throws {FerryError} `exists` where a file has the name, `not_a_file` where a part of it is a file
   */
  mkdir(name: FileName, options?: ChangeOptions): Promise<void>;
}
