/**
 * The interface of a storage that can publish a directory as one: its files are put into a staged tree, which nobody
 * else can see, and that gets the name of the directory when it is whole.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import type { FerryError } from "../../lib/core/errors.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { ChangeOptions, CreateOptions, PartialUploads, PendingWrite } from "./storage.ts";

/** What a writer of files needs of a storage, or of a {@linkcode StagedTree}. */
export interface WriteTarget {
  /** See `Storage.find`. */
  find(name: FileName, algorithm?: Algorithm): Promise<Entry | undefined>;
  /** See `Storage.checksum`. */
  checksum(name: FileName, algorithm: Algorithm): Promise<Checksum>;
  /** See `Storage.assertFits`. */
  assertFits(
    name: FileName,
    size: number | null,
    options?: Pick<CreateOptions, "sparse">,
  ): Promise<void>;
  /** See `Storage.create`. */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite>;
  /** See `Storage.partialUploads`. */
  readonly partialUploads?:
    | Pick<PartialUploads, "find" | "create" | "resume" | "takesPieces">
    | undefined;
}

/** Options of {@linkcode StagedTree.publish}. */
export interface PublishOptions extends ChangeOptions {
  /** Whether a directory that has the name is replaced. */
  replace: boolean;
}

/** A directory that was published. */
export interface PublishedTree {
  /** The number of files in it. */
  readonly files: number;
  /** Their size in bytes. */
  readonly bytes: number;
  /** Whether it has replaced a directory. */
  readonly replaced: boolean;
}

/**
 * A directory that is being put together. Names are those that its entries will have when it is published. A name that
 * is not below that of the directory is refused as `bad_name`.
 *
 * What an earlier client has left in it does not get published, unless it is put again, or {@linkcode
 * StagedTree.confirm}ed, or {@linkcode StagedTree.carryOver} or {@linkcode StagedTree.keep} brings it there.
 *
 * Disposal means that this client is done with it. It is kept for the next one, unless it is empty.
 */
export interface StagedTree extends WriteTarget, AsyncDisposable {
  /** Its id, unique in the storage. */
  readonly id: string;
  /** The name that the directory will get. */
  readonly name: FileName;
  /** Whom it belongs to. */
  readonly owner: string;
  /** Whether it contains what an earlier client has left. */
  readonly resumed: boolean;
  /**
   * Whether the files that an earlier client has left may have lost content, because the machine was started anew: only
   * a checksum then proves that one is whole.
   */
  readonly doubtful: boolean;

  /** See `Storage.findAll`. */
  findAll(
    names: readonly FileName[],
    algorithm?: Algorithm,
  ): Promise<(Entry | FerryError | undefined)[]>;

  /** Creates a directory and missing parent directories. */
  mkdir(name: FileName, options?: ChangeOptions): Promise<void>;

  /** Makes a file that is in it already a part of what will be published. */
  confirm(name: FileName): void;

  /**
   * Brings a file over from the directory that has the name now, with its content and its attributes.
   *
   * @param seen the file's entry, by which the caller has decided. A file that has changed since is not brought over.
   * @returns whether it was brought over; if not, the client has to send it
   * @throws {FerryError} `no_space`, `quota`, `io`
   */
  carryOver(name: FileName, seen: Entry): Promise<boolean>;

  /**
   * Brings what has a name now over, whatever it is: a file, a symbolic link itself, or a directory without what is in
   * it.
   *
   * @returns false if nothing has the name
   * @throws {FerryError} `not_a_file` for a pipe, a socket or a device; `no_space`, `quota`, `io`
   */
  keep(name: FileName): Promise<boolean>;

  /**
   * Gives the directory its name. Everything in it survives a power failure before it has the name, if the storage is
   * durable. A directory that it replaces keeps the name until then, and is removed afterwards. Readers of its files
   * can read on.
   *
   * @throws {FerryError} `exists` if a file has the name, or a directory and `replace` is false; `not_a_file` if a link
   * has it; `busy` if a file is still being written; `denied`, `no_space`, `io`. The directory that has the name stays
   * then.
   */
  publish(options: PublishOptions): Promise<PublishedTree>;
}

/** A tree that is being put together, or that a client has left. */
export interface StagedTreeState {
  /** The name that the directory will get. */
  readonly name: FileName;
  /** Whom it belongs to. */
  readonly owner: string;
  /** The bytes of the files in it; undefined for one that an earlier process has left, as long as they are not counted. */
  readonly bytes: number | undefined;
  /** Whether a client works on it. */
  readonly active: boolean;
  /** When a client last worked on it, in milliseconds since 1970. */
  readonly touched: number;
}

/** Keeps staged trees. */
export interface StagedTrees {
  /**
   * Begins a tree, or goes on with the one that the owner has left for the same name.
   *
   * @throws {FerryError} `not_a_file` if a parent directory is a file; `no_space`, `denied`, `io`
   */
  begin(name: FileName, options: { owner: string }): Promise<StagedTree>;

  /**
   * Joins a tree that was begun, from another connection of the same client.
   *
   * @returns undefined if the owner has none with that id
   */
  join(id: string, options: { owner: string }): Promise<StagedTree | undefined>;

  /**
   * What became of a tree that was published a short while ago: the client may have lost its connection before the reply
   * came.
   *
   * @returns undefined if nothing is known of it
   */
  published(id: string, name: FileName, options: { owner: string }): PublishedTree | undefined;

  /** The trees of all owners. */
  list(): StagedTreeState[];

  /** Removes the trees of all owners that no client has worked on for `ttl` milliseconds. */
  expire(ttl: number): Promise<void>;
}
