/**
 * What a server keeps files in. The session owns this interface; `storage_fs.ts` is the default
 * implementation, `storage_memory.ts` one for tests, and an object store maps onto it as multipart
 * uploads do: `create` begins one, `write` fills parts, `commit` completes it, disposal aborts it.
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
   * Whether what has the name will be replaced. Where it will not, an implementation MAY leave it to the commit
   * to find out that something has it.
   */
  replace?: boolean | undefined;
  /**
   * Called when another writer takes the part over, since this one has moved no byte for a while. The
   * write MUST be disposed of soon then.
   */
  onTakenOver?: (() => void) | undefined;
  /**
   * Whose the part is that may remain of the write: only the same owner can resume it, take it over or see it.
   * Default: "", all those whom nothing tells apart.
   */
  owner?: string | undefined;
}

/** Options of {@linkcode Storage.resume}. */
export interface ResumeOptions extends CreateOptions {
  /** What the whole file will be checked with. */
  algorithm: Algorithm;
}

/** Options of {@linkcode Storage.list}. */
export interface ListOptions {
  /** Whether directories are descended into. */
  recursive: boolean;
  /**
   * Whether also what is left out is told, where it would stand, and why; except what MUST NOT be shown because it
   * is being written, belongs to the storage itself, or is out of bounds. Default: false.
   */
  omitted?: boolean | undefined;
}

/** Options of {@linkcode Storage.remove}. */
export interface RemoveOptions {
  /** Whether a directory is deleted, with all that is in it. */
  recursive: boolean;
  /** Ends it where it is: what it was aborted with is thrown, and what is deleted by then stays deleted. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode Storage.move}. */
export interface MoveOptions extends ChangeOptions {
  /** Whether a file takes the place of another file. */
  replace: boolean;
  /** Ends it while what is moved is copied: what it was aborted with is thrown, and nothing has moved. */
  signal?: AbortSignal | undefined;
}

/** Options of what changes names. */
export interface ChangeOptions {
  /** MUST be called right before anything is changed; what it throws keeps everything as it is. */
  assertMay?: (() => void) | undefined;
}

/** Options of {@linkcode Storage.discardParts}. */
export interface DiscardOptions extends ChangeOptions {
  /** Whose parts; as in {@linkcode CreateOptions}. */
  owner?: string | undefined;
}

/** A write that nobody can see yet. */
export interface PendingWrite extends AsyncDisposable {
  /** The digest of what it holds already, where it goes on behind a part; undefined at the start of a file. */
  readonly behind?: PrefixDigest | undefined;

  /**
   * Remembers how far the write has come; `prefix` describes all bytes that were written. After a crash
   * of the process the storage SHOULD be able to go on from the last one. MAY do nothing.
   */
  checkpoint(prefix: SavedPrefix): Promise<void>;

  /**
   * Makes disposal keep what was last remembered by {@linkcode PendingWrite.checkpoint}, for
   * {@linkcode Storage.resume}. MAY do nothing.
   */
  keep(): void;

  /**
   * Appends bytes. MUST have taken all of them, or have failed, when it resolves; the caller may
   * overwrite them afterwards. Calls MUST NOT overlap.
   *
   * @throws {FerryError} `no_space`, `quota`, `too_large`, `io`
   */
  write(bytes: Uint8Array): Promise<void>;

  /**
   * Publishes what was written under its name, at once and as a whole: a reader sees the old file,
   * the new one, or none, never a part. Where the storage is durable it MUST NOT resolve before the
   * file would survive a loss of power. MUST be called at most once; several pending writes MAY be
   * committed at the same time, and the storage may then flush them together, in the order of the calls.
   *
   * With `replace` false an existing file MUST stay: the commit resolves as `unchanged` where its
   * content is identical, and fails with `exists` otherwise.
   *
   * @throws {FerryError} `exists`, `not_a_file` where the name is a directory or a part of it is a
   * file, `no_space`, `denied`, `io`
   */
  commit(options: CommitOptions): Promise<Committed>;

  /** Throws away what was not committed, and leaves nothing behind. MUST NOT fail, MAY be repeated. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A file that is open for reading. It stays the same file even if its name is given to another. */
export interface StoredFile extends ByteSource, AsyncDisposable {
  /** Makes the next read begin at that byte. */
  seek(offset: number): void;

  /** What was true when it was opened; `checksum` is null where it is not known without reading it. */
  readonly entry: Entry;

  /**
   * Tells the storage the checksum of what was read, in full and unchanged, so that it need not read again. It MUST
   * NOT go by it later unless any change since the file was opened would show.
   */
  remember(checksum: Checksum): Promise<void>;
}

/**
 * What a request may reach where symbolic links lead elsewhere than the names in it say. A path has its parts
 * separated by `/`, counts from the root, which is "", and may climb by parts that are "..".
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
  /**
   * The same storage for one request that is confined: each name that a link leads to is asked about before
   * anything is looked at there, and where the answer is no, the operation fails with `denied`, whether
   * anything is there or not. Lists leave such links out. What was begun within bounds stays in them to its end.
   * A storage without links MAY return itself. What is returned is not disposed of.
   */
  within(bounds: Bounds): Storage;

  /**
   * Fails where nothing can be served now, as every other operation does then: the disk is gone, for one.
   *
   * @throws {FerryError} `io`
   */
  assertServing(): Promise<void>;

  /**
   * The directory of this machine that clients write to: a server runs no program from there. Undefined where the
   * files are kept elsewhere.
   */
  readonly root?: string | undefined;

  /** What it cannot promise to those who use it, as sentences in English; undefined where that is nothing. */
  readonly shortcomings?: readonly string[] | undefined;

  /**
   * What stands under a name; "" is the root. `checksum`, an md5 unless another one is asked for, is null
   * where it is not known without reading.
   *
   * @throws {FerryError} `not_found`, `not_a_file` for what is neither file nor directory
   */
  stat(name: FileName | "", algorithm?: Algorithm): Promise<Entry>;

  /** The same, or undefined where nothing is: for those who ask about many names that are new. */
  find(name: FileName | "", algorithm?: Algorithm): Promise<Entry | undefined>;

  /**
   * The same for many names, in their order; instead of failing it gives the errors.
   */
  findAll(
    names: readonly FileName[],
    algorithm?: Algorithm,
  ): Promise<(Entry | FerryError | undefined)[]>;

  /**
   * The entries below a directory, each directory before its content, the names of one directory in
   * the order of their UTF-16 units. MUST NOT show what is being written, nor what is neither file
   * nor directory. What disappears meanwhile is left out.
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
   * Fails where a write of that size would be refused as it begins. A look ahead that reserves nothing; MAY do
   * nothing.
   *
   * @param size bytes; null for a stream
   * @throws {FerryError} as {@linkcode Storage.create}
   */
  assertFits(name: FileName, size: number | null): Promise<void>;

  /**
   * Begins a write. Nothing is visible before its commit: no file, no directory above it.
   *
   * @throws {FerryError} `not_a_file` where the name is a directory or a part of it is a file,
   * `too_large`, `quota`, `no_space`, `denied`
   */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite>;

  /**
   * Takes up the owner's part of a file of that name and size that was written last. MUST give a part to one
   * writer at a time; where its present writer has moved no byte for a few seconds, MUST tell that one
   * through `onTakenOver`, and wait for its end. MUST know the digest of what is there: MAY read it for that.
   *
   * @returns undefined where there is none, or where others are busy with all of them
   */
  resume(name: FileName, options: ResumeOptions): Promise<PendingWrite | undefined>;

  /** The parts that are kept for an owner. Default: "". */
  parts(owner?: string): Promise<PartEntry[]>;

  /**
   * Removes the owner's parts of files of that name. One that is being written stays, and all the others go.
   *
   * @throws {FerryError} `not_found` where there is none; `busy` where one is being written, or was offered to who
   * may go on with it
   */
  discardParts(name: FileName, options?: DiscardOptions): Promise<void>;

  /** Removes the parts that nobody has written to for `ttl` milliseconds. */
  expireParts(ttl: number): Promise<void>;

  /**
   * Deletes a file, or with `recursive` a directory and what is in it. What cannot be deleted stays with the
   * directories above it, and all the rest is deleted.
   *
   * @throws {FerryError} `not_found`, `not_a_file` for a directory without `recursive`, `denied`; `exists` or
   * `busy` where others keep changing what is in it
   */
  remove(name: FileName, options: RemoveOptions): Promise<void>;

  /**
   * Renames a file or a directory, makes the directories above the new name. `replace` lets a file
   * take another file's place; a directory never takes a place. Where that takes a copy, nothing of it MUST be seen
   * under the new name before it is whole and verified, and the old name MUST stay until then.
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
