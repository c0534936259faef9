/**
 * The interface of a storage: a tree of files and directories, local or remote, in which a server keeps its files.
 *
 * Every implementation provides {@linkcode Storage}; {@linkcode PartialUploads} is optional. On an object store, a
 * {@linkcode PendingWrite} is one PUT, and a {@linkcode ResumableWrite} a multipart upload: `write` fills its parts,
 * `commit` completes it, disposal aborts it.
 *
 * Every implementation passes `tests/storage/conformance.ts`.
 *
 * @module
 */

import type { CommitOptions, Committed, Condition } from "../../lib/files/commit.ts";
import type { PrefixDigest, SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { FerryError } from "../../lib/core/errors.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { Durability } from "../../lib/files/durability.ts";
import type { Entry, Listed, PartEntry } from "../../lib/core/entry.ts";
import type { PieceTarget } from "../../lib/files/stored_pieces.ts";
import type { Bounds } from "./bounds.ts";
import type { ContentFinder } from "./contents.ts";
import type { LimitsDirectories } from "./quotas.ts";
import type { StagedTrees } from "./staged_trees.ts";
import type { BlockHashes, FileRange, StoredFile } from "./stored_file.ts";
import type { SymbolicLinks } from "./symbolic_links.ts";
import type { TellsUsage } from "./usage.ts";

export type { Bounds } from "./bounds.ts";
export type { BlockHashes, FileRange, StoredFile } from "./stored_file.ts";

/** Options of {@linkcode Storage.create}. */
export interface CreateOptions {
  /**
   * The announced size in bytes; null for a stream. An implementation MAY refuse the write early if it is too large.
   */
  size: number | null;
  /**
   * Whether an existing file of that name will be replaced. If it is known, an implementation MAY leave it to the
   * commit to find that the name is taken, by a directory or, if false, by a file. Default: undefined, not known yet.
   */
  replace?: boolean | undefined;
  /**
   * What the commit will be given, as far as it is known. An implementation that has to name it before the content can
   * save work then. Default: undefined, nothing is known.
   */
  announced?: AnnouncedAttributes | undefined;
  /**
   * Whether runs of zeros are stored as holes, which take no space. An implementation that has none MAY ignore it.
   * Default: false.
   */
  sparse?: boolean | undefined;
}

/** Attributes of a file whose content is still to come. The commit has the last word. */
export interface AnnouncedAttributes {
  /** See {@linkcode CommitOptions.mtime}. */
  readonly mtime?: number | undefined;
  /** See {@linkcode CommitOptions.mode}. */
  readonly mode?: number | undefined;
  /** The checksum that the content will be verified with. */
  readonly checksum?: Checksum | undefined;
}

/** Options of {@linkcode PartialUploads.create}. */
export interface CreateResumableOptions extends CreateOptions {
  /** The owner of the partial upload. Default: "", shared by all clients that cannot be told apart. */
  owner?: string | undefined;
}

/** Options of {@linkcode PartialUploads.look}. */
export interface LookOptions {
  /** Whose it has to be. Default: "". */
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
  /** See {@linkcode CreateOptions.sparse}; for the rest of the file. */
  sparse?: boolean | undefined;
  /** Whose it has to be. Default: "". */
  owner?: string | undefined;
}

/** Options of {@linkcode Storage.list}. */
export interface ListOptions {
  /** Whether the list includes the contents of subdirectories. */
  recursive: boolean;
  /**
   * Whether the list also has a line, with the reason, for each entry that cannot be shown, at its place in the order.
   * Entries that are being written, belong to the storage itself, or are out of bounds MUST NOT get such a line.
   * Default: false.
   */
  omitted?: boolean | undefined;
  /**
   * Whether the entries of files with several names have their {@linkcode Entry.id}, where the storage has such files.
   * Default: false.
   */
  ids?: boolean | undefined;
  /**
   * Whether symbolic links that {@linkcode Storage.links} would keep are listed as such, in place of what they lead to.
   * Default: false.
   */
  links?: boolean | undefined;
}

/**
 * Options of {@linkcode Storage.remove}. There is no `assertMay`: a removal is many changes, and `signal` stops it
 * between two of them when the client may not go on.
 */
export interface RemoveOptions extends WithinOptions {
  /** Whether a directory may be deleted, with all its contents. */
  recursive: boolean;
  /** Stops the removal with the signal's abort reason. What has been deleted by then stays deleted. */
  signal?: AbortSignal | undefined;
  /**
   * A condition on what is removed, which sees an MD5; see {@linkcode CommitOptions.condition}. Default: undefined,
   * none.
   */
  condition?: Condition | undefined;
}

/** Options of operations that take something away from where it is. */
export interface WithinOptions {
  /**
   * A directory that the name is in. If a component of the name below it, other than the last one, is a symbolic link,
   * the operation MUST fail with `not_a_file` and change nothing. Default: undefined, links are followed.
   */
  within?: FileName | "" | undefined;
  /** Called when requests see the change, which may not survive a power failure yet. A storage need not call it. */
  onChanged?: (() => void) | undefined;
}

/** Options of {@linkcode Storage.move}; `within` is about the present name. */
export interface MoveOptions extends ChangeOptions, WithinOptions {
  /** Whether an existing file of the new name may be replaced. */
  replace: boolean;
  /**
   * Whether the file keeps its present name as well: there is no moment in which it lacks one. A directory fails with
   * `not_a_file` then. It replaces nothing, whatever `replace` says; a new name that has this very file already is no
   * conflict. Default: false.
   */
  keep?: boolean | undefined;
  /** Stops the move while data is being copied, with the signal's abort reason. Nothing has been moved in that case. */
  signal?: AbortSignal | undefined;
}

/** Options of operations that change names. */
export interface ChangeOptions {
  /** A check that MUST be called right before anything is changed. If it throws, nothing is changed. */
  assertMay?: (() => void) | undefined;
}

/** Options of {@linkcode PartialUploads.discard}. */
export interface DiscardOptions extends ChangeOptions {
  /** Whose it has to be. Default: "". */
  owner?: string | undefined;
}

/** Options of {@linkcode PendingWrite.commit}. */
export interface StoreOptions extends CommitOptions {
  /**
   * The hashes of the blocks of everything that was written, as {@linkcode StoredFile.rememberHashes} takes them. A
   * storage MAY remember them. Default: undefined, they are not known.
   */
  blocks?: BlockHashes | undefined;
}

/** A file that is being written and that nobody can see yet. */
export interface PendingWrite extends AsyncDisposable {
  /**
   * Appends bytes. When the promise settles, all bytes MUST have been accepted, or the call have failed; the caller may
   * then reuse the buffer. Calls MUST NOT overlap.
   *
   * @throws {FerryError} `no_space`, `quota`, `too_large`, `io`
   */
  write(bytes: Uint8Array): Promise<void>;

  /**
   * Like {@linkcode PendingWrite.write}, for bytes that were read from a file of the same storage. A storage that can
   * copy on its own side does so where that saves work; the result MUST be the same. Default: undefined, there is
   * nothing to be saved.
   *
   * @throws {FerryError} as {@linkcode PendingWrite.write}
   */
  readonly writeCopied?: ((bytes: Uint8Array, from: FileRange) => Promise<void>) | undefined;

  /**
   * Publishes the file under its name atomically: a reader sees the old file, the new one, or none, never a mixture. If
   * the storage is durable, the promise MUST NOT resolve before the file would survive a power failure. MUST be called
   * at most once. Several pending writes MAY be committed at the same time; the storage may flush them together, in the
   * order of the calls.
   *
   * With `replace` false an existing file MUST stay: the commit resolves as `unchanged` where its content is identical,
   * and fails with `exists` otherwise.
   *
   * @throws {FerryError} `exists`; `not_a_file` if the name is a directory, or one of its parent directories is a file;
   * `no_space`, `denied`, `io`
   */
  commit(options: StoreOptions): Promise<Committed>;

  /** Discards what was not committed, and leaves nothing behind. MUST NOT fail. MAY be called again. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A pending write that can be kept as a partial upload and resumed later. */
export interface ResumableWrite extends PendingWrite {
  /** The id of the partial upload: unique in the storage, and the same each time the upload is resumed. */
  readonly id: string;

  /** The digest of the bytes that were already stored when the upload was resumed; undefined for a new file. */
  readonly prefix: PrefixDigest | undefined;

  /**
   * Records how much has been written; `prefix` describes all of it. If the process crashes, the storage SHOULD be able
   * to resume from the last checkpoint.
   *
   * @throws {FerryError} `busy`, `no_space`, `io`
   */
  checkpoint(prefix: SavedPrefix): Promise<void>;

  /**
   * Begins to write at positions, in place of `write` and `checkpoint`. The file has `size` bytes; all of them MUST be
   * written before the commit. Default: undefined, bytes can only be appended.
   */
  readonly beginPieces?: ((size: number) => PieceTarget) | undefined;

  /** Makes disposal keep the partial upload as far as the last {@linkcode ResumableWrite.checkpoint} recorded it. */
  keep(): void;
}

/** A partial upload that is kept or being written. */
export interface PartialUpload {
  /** The same as {@linkcode ResumableWrite.id}. */
  readonly id: string;
  /** Whose it is. */
  readonly owner: string;
  /** What clients see of it; it is `active` while a {@linkcode ResumableWrite} of it is open. */
  readonly entry: PartEntry;
}

/** A partial upload with the digests of its bytes. */
export interface DescribedUpload extends PartialUpload {
  /** What its last checkpoint has recorded, which may be more than will turn out to be stored after a crash. */
  readonly prefix: SavedPrefix;
}

/**
 * Keeps partial uploads: the bytes of a file that were received before its upload was interrupted. There may be several
 * for one name. A partial upload exists from the first checkpoint of its {@linkcode ResumableWrite}.
 *
 * A partial upload has one writer at a time. The caller decides which, by means of `UploadLocks`.
 */
export interface PartialUploads {
  /** Whether its writes have {@linkcode ResumableWrite.beginPieces}. Default: false. */
  readonly takesPieces?: boolean | undefined;

  /**
   * The partial uploads of a file that can be resumed or are being written, most recently written first.
   *
   * @throws {FerryError} as {@linkcode Storage.create}
   */
  find(name: FileName, options: FindOptions): Promise<PartialUpload[]>;

  /** All partial uploads of an owner, in any order. Default owner: "". */
  list(owner?: string): Promise<PartialUpload[]>;

  /** The partial uploads of all owners, in any order. */
  listAll(): Promise<PartialUpload[]>;

  /**
   * Describes a partial upload. Its bytes need not be looked at.
   *
   * @param id as in {@linkcode PartialUpload}
   * @returns undefined if the owner has none with that id
   */
  look(id: string, options?: LookOptions): Promise<DescribedUpload | undefined>;

  /**
   * Begins a write that can be interrupted and resumed. With the `size` null, {@linkcode PartialUploads.find} does not
   * find what is kept of it.
   *
   * @throws {FerryError} as {@linkcode Storage.create}
   */
  create(name: FileName, options: CreateResumableOptions): Promise<ResumableWrite>;

  /**
   * Opens a partial upload to write the rest of the file. MUST determine the digest of the bytes already stored, and
   * MAY read them for that. A partial upload that turns out to be damaged is discarded.
   *
   * @param id as in {@linkcode PartialUpload}
   * @returns undefined if the owner has none with that id, if it is of no use, or if it is already open
   * @throws {FerryError} as {@linkcode Storage.create}; the partial upload is kept then
   */
  resume(id: string, options: ResumeOptions): Promise<ResumableWrite | undefined>;

  /**
   * Removes a partial upload.
   *
   * @param id as in {@linkcode PartialUpload}
   * @throws {FerryError} `not_found` if the owner has none with that id, `busy` if it is open
   */
  discard(id: string, options?: DiscardOptions): Promise<void>;

  /**
   * Removes the partial uploads of all owners that are not open and were last written more than `ttl` milliseconds ago.
   */
  expire(ttl: number): Promise<void>;
}

/** A tree of files. */
export interface Storage extends ContentFinder, LimitsDirectories, TellsUsage, AsyncDisposable {
  /** Keeps partial uploads. Default: undefined, uploads cannot be resumed. */
  readonly partialUploads?: PartialUploads | undefined;
  /** Keeps symbolic links. Default: undefined, clients cannot make any. */
  readonly links?: SymbolicLinks | undefined;
  /** Publishes directories as one. Default: undefined, a directory cannot get its name in one step. */
  readonly stagedTrees?: StagedTrees | undefined;
  /** The local directory that clients write to; no program from there is ever run. Default: undefined, there is none. */
  readonly root?: string | undefined;

  /** Whether a file whose commit has resolved survives a loss of power. Default: undefined, nobody knows: `none`. */
  readonly durability?: Durability | undefined;
  /** What the storage cannot guarantee, as English sentences for its users. Default: undefined, no shortcomings. */
  readonly shortcomings?: readonly string[] | undefined;

  /**
   * Opens the storage of the server's own records, beside the files of clients, who cannot name what is in it. All
   * servers over the same files share it. It is disposed of with this storage; each call returns the same one. Default:
   * undefined, there is no such place.
   *
   * @throws {FerryError} `denied`, `no_space`, `io` if nothing can be kept
   */
  readonly internal?: (() => Promise<Storage>) | undefined;

  /**
   * The same storage, confined for one request: before any path that a link leads to is accessed, `bounds` is asked
   * about it. If the answer is no, the operation fails with `denied`, whether anything exists there or not, and lists
   * leave such links out. An operation that was started within bounds stays confined to its end. A storage without
   * links MAY return itself. The result need not be disposed of.
   */
  within(bounds: Bounds): Storage;

  /**
   * Fails if nothing can be served at the moment, for example because the disk is gone. Every other operation fails
   * then as well.
   *
   * @throws {FerryError} `io`
   */
  assertServing(): Promise<void>;

  /**
   * The entry of a file or directory; "" is the root. `checksum`, an MD5 unless another algorithm is requested, is null
   * if it is not known without reading the file.
   *
   * @throws {FerryError} `not_found`; `not_a_file` if it is neither a file nor a directory
   */
  stat(name: FileName | "", algorithm?: Algorithm): Promise<Entry>;

  /** Like {@linkcode Storage.stat}, but undefined if nothing exists there: for names that are probably new. */
  find(name: FileName | "", algorithm?: Algorithm): Promise<Entry | undefined>;

  /**
   * Like {@linkcode Storage.find} for many names, in their order; an error takes the place of the entry that it is
   * about.
   */
  findAll(
    names: readonly FileName[],
    algorithm?: Algorithm,
  ): Promise<(Entry | FerryError | undefined)[]>;

  /**
   * Lists the contents of a directory, each subdirectory before its contents, the names of one directory in the order
   * of their UTF-8 bytes. MUST NOT show files that are being written, nor entries that are neither files nor
   * directories. Entries that disappear meanwhile are left out. A directory that is replaced meanwhile SHOULD be told.
   *
   * @throws {FerryError} `not_found`, `not_a_file`; `denied`, `io` if it cannot be read, `busy` if it is replaced
   */
  list(name: FileName | "", options: ListOptions): AsyncIterable<Listed>;

  /**
   * Opens a file for reading. The checksum in its entry is of that algorithm.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `denied`
   */
  open(name: FileName, algorithm: Algorithm): Promise<StoredFile>;

  /**
   * The checksum of a file's content, from a cache or by reading the file.
   *
   * @throws {FerryError} as {@linkcode Storage.open}; `io` if the file changes meanwhile
   */
  checksum(name: FileName, algorithm: Algorithm): Promise<Checksum>;

  /**
   * Fails if a write of that size would be refused right away. It reserves nothing, and MAY do nothing.
   *
   * @param size bytes; null for a stream
   * @throws {FerryError} as {@linkcode Storage.create}
   */
  assertFits(
    name: FileName,
    size: number | null,
    options?: Pick<CreateOptions, "sparse">,
  ): Promise<void>;

  /**
   * Begins a write. Nothing is visible before its commit, neither the file nor new parent directories.
   *
   * @throws {FerryError} `not_a_file` if the name is a directory, or one of its parent directories is a file;
   * `too_large`, `quota`, `no_space`, `denied`
   */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite>;

  /**
   * Deletes a file, or with `recursive` a directory and its contents. Entries that cannot be deleted stay, with their
   * parent directories; everything else is deleted.
   *
   * @throws {FerryError} `not_found`, `not_a_file` for a directory without `recursive`, `denied`; `exists` or `busy` if
   * other programs keep changing its contents
   */
  remove(name: FileName, options: RemoveOptions): Promise<void>;

  /**
   * Renames a file or a directory, and creates missing parent directories of the new name. A file may replace another
   * file; a directory never replaces anything. If the move has to copy, the copy MUST NOT be visible under the new name
   * before it is complete and verified, and the old name MUST stay until then.
   *
   * @throws {FerryError} `not_found`, `exists`, `not_a_file`, `bad_name` for moving a directory into itself;
   * `no_space`, `denied`, `io` if it is copied
   */
  move(from: FileName, to: FileName, options: MoveOptions): Promise<void>;

  /**
   * Creates a directory and missing parent directories. A directory that exists is not an error.
   *
   * @throws {FerryError} `exists` if a file has the name, `not_a_file` if one of the parent directories is a file
   */
  mkdir(name: FileName, options?: ChangeOptions): Promise<void>;
}
