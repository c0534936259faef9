/**
 * A storage in a local directory. Uploads are staged in `.ferry/staging` inside the root, so that a rename within one
 * file system makes them visible.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../../lib/core/checksum.ts";
import { type ErrorCode, FerryError, fileError } from "../../../lib/core/errors.ts";
import {
  type FileName,
  isRemovedName,
  isStagingName,
  joinName,
  mayBeNoText,
  notText,
} from "../../../lib/core/remote_name.ts";
import type { Entry, Listed } from "../../../lib/core/entry.ts";
import { type FileSystem, shortcomingsOf } from "../../../lib/file_system/file_system.ts";
import type { ChangedDirectory } from "../../../lib/files/directory_flush.ts";
import { inodeOf } from "../../../lib/core/file_identity.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { namingError } from "../../../lib/files/file_errors.ts";
import { turn } from "../../../lib/core/time_slices.ts";
import type {
  Bounds,
  ChangeOptions,
  CreateOptions,
  ListOptions,
  MoveOptions,
  PartialUploads,
  PendingWrite,
  RemoveOptions,
  Storage,
  StoredFile,
} from "../storage.ts";
import { fileId } from "./content_version.ts";
import { findContents } from "./content_search.ts";
import { FsLinks } from "./links.ts";
import type { SymbolicLinks } from "../symbolic_links.ts";
import type { DirectoryQuotas } from "../quotas.ts";
import type { StagedTrees } from "../staged_trees.ts";
import { move } from "./move.ts";
import type { Place } from "./name_walk.ts";
import { Directory } from "./open_directory.ts";
import { ParentDirectories } from "./parent_directories.ts";
import { FsPartialUploads } from "./partial_uploads.ts";
import { FsStagedTrees } from "./staged_trees.ts";
import { FsPendingWrite, reserve } from "./pending_write.ts";
import { assertMeets } from "./replaced_entry.ts";
import type { Root } from "./root.ts";
import { attempt, type FsStorageOptions, ServedRoot } from "./served_root.ts";
import { checksumOf, entryOf, FsStoredFile } from "./stored_file.ts";
import { listTree, type Seen } from "./tree_listing.ts";
import { RECORDS_DIRECTORY, Subtree } from "../subtree.ts";
import { removeTree } from "./tree_removal.ts";

/** How many names are looked up before other requests get a turn. */
const FIND_AT_ONCE = 256;

/** A list checks after this many entries that the root still exists. */
const STANDING_EVERY = 64;

/** The errors of a dangling link. */
const LEADS_NOWHERE: readonly ErrorCode[] = ["not_found", "not_a_file", "bad_name"];

/** The errors by which ferry itself hides entries that a client may not know of. */
const HIDDEN: readonly ErrorCode[] = ["not_found", "denied"];

/** A {@linkcode Storage} in a local directory. Only one process at a time may have it open. */
export class FsStorage implements Storage {
  readonly #served: ServedRoot;
  /** The root, confined to what this storage may reach. */
  readonly #root: Root;
  readonly #bounds: Bounds | undefined;
  /** See {@linkcode Storage.partialUploads}. */
  readonly partialUploads: PartialUploads;
  readonly #links: FsLinks | undefined;
  /** See {@linkcode Storage.stagedTrees}. */
  readonly stagedTrees: StagedTrees;

  private constructor(served: ServedRoot, root: Root, bounds?: Bounds) {
    this.#served = served;
    this.#root = root;
    this.#bounds = bounds;
    this.partialUploads = new FsPartialUploads(served, root);
    this.#links = served.keepsLinks ? new FsLinks(served, root) : undefined;
    this.stagedTrees = new FsStagedTrees(served, root);
  }

  /**
   * Opens a directory as a storage, and removes what an earlier process left in its staging area, except partial
   * uploads that can be resumed. It may block for as long as `onWaiting` announces. A directory that cannot be written
   * to is served read-only.
   *
   * @throws {FerryError} `not_found`; `not_a_file` if it is not a directory; `busy` if another process serves it
   */
  static open(root: string, options: FsStorageOptions = {}): FsStorage {
    try {
      const served = ServedRoot.open(root, options);
      return new FsStorage(served, served.root);
    } catch (error) {
      throw fileError(error).during(`serve ${JSON.stringify(root)}`);
    }
  }

  /** See `ServedRoot.socketPlace`. */
  get socketPlace(): { prepare(): string; readonly path: string } | undefined {
    return this.#served.socketPlace;
  }

  /** See {@linkcode Storage.internal}. */
  internal(): Promise<Storage> {
    return this.#served.records ??= this.#openRecords();
  }

  async #openRecords(): Promise<Storage> {
    try {
      const root = this.#root.confinedTo(RECORDS_DIRECTORY);
      return await Subtree.open(new FsStorage(this.#served, root), RECORDS_DIRECTORY);
    } catch (error) {
      this.#served.records = undefined;
      throw error;
    }
  }

  /** See {@linkcode Storage.quotas}. */
  get quotas(): DirectoryQuotas | undefined {
    return this.#served.together ? undefined : this.#served.quotas;
  }

  /** See `ServedRoot.ownDirectory`. */
  ownDirectory(name: string): string {
    return this.#served.ownDirectory(name);
  }

  /** See {@linkcode Storage.links}. */
  get links(): SymbolicLinks | undefined {
    return this.#links;
  }

  /** See {@linkcode Storage.within}. */
  within(bounds: Bounds): FsStorage {
    const root = this.#root.confinedBy((path) => bounds.reaches(path));
    return new FsStorage(this.#served, root, bounds);
  }

  /** See {@linkcode Storage.usage}. */
  readonly usage: NonNullable<Storage["usage"]> = () => attempt(() => this.#served.usage());
  /** See {@linkcode Storage.assertServing}. */
  assertServing(): Promise<void> {
    return attempt(() => this.#served.assertServing());
  }

  /**
   * Whether requests are safe from other programs that replace directories by symbolic links while a request runs. That
   * requires Linux with `/proc`, a directory for temporary files, and permission to read and write everywhere. It also
   * requires a file system on which a directory that is held open stays the same when another one gets its name.
   */
  get guarded(): boolean {
    return this.fileSystem.heldDirectories;
  }

  /**
   * What the file system of the directory supports, as found out when the storage was opened or the directory was
   * mounted again; if nothing can be written, what is known of its type.
   */
  get fileSystem(): FileSystem {
    return this.#served.fileSystem;
  }

  /** See {@linkcode Storage.shortcomings}: what the storage relies on and the file system does not support. */
  get shortcomings(): string[] {
    const { fileSystem, durable, unwritable } = this.#served;
    const missing = shortcomingsOf(fileSystem, { writable: !unwritable, durable });
    return unwritable
      ? [`nothing can be uploaded here: ${unwritable.reason}`, ...missing]
      : missing;
  }

  /** See {@linkcode Storage.durability}. */
  get durability(): Storage["durability"] {
    return this.#served.durable && this.fileSystem.durableNames ? "full" : "none";
  }

  /** See {@linkcode Storage.root}. */
  get root(): string {
    return this.#root.path;
  }

  /** Why nothing can be uploaded: it is read-only, or was full when it was opened. Undefined if uploads are possible. */
  get unwritable(): FerryError | undefined {
    return this.#served.unwritable;
  }

  /** See {@linkcode Storage.stat}. */
  stat(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry> {
    return attempt(() => {
      using place = this.#root.find(name);
      return this.#entryOf(name, place.info, algorithm);
    });
  }

  /** See {@linkcode Storage.find}. */
  find(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry | undefined> {
    return attempt(() => {
      using place = this.#root.look(name);
      return place && this.#entryOf(name, place.info, algorithm);
    });
  }

  /** See {@linkcode Storage.findAll}. */
  async findAll(
    names: readonly FileName[],
    algorithm: Algorithm = "md5",
  ): Promise<(Entry | FerryError | undefined)[]> {
    const found: (Entry | FerryError | undefined)[] = [];
    for (let from = 0; from < names.length; from += FIND_AT_ONCE) {
      if (from > 0) await turn();
      using parents = new ParentDirectories(this.#root);
      for (const name of names.slice(from, from + FIND_AT_ONCE)) {
        found.push(this.#findIn(parents, name, algorithm));
      }
    }
    return found;
  }

  #findIn(
    parents: ParentDirectories,
    name: FileName,
    algorithm: Algorithm,
  ): Entry | FerryError | undefined {
    try {
      const info = parents.look(name);
      return info && this.#entryOf(name, info, algorithm);
    } catch (error) {
      const failure = fileError(error);
      return failure.code === "not_found" ? undefined : failure;
    }
  }

  /** See {@linkcode Storage.findContents}. It knows what was uploaded file by file, or read for its checksum. */
  readonly findContents: NonNullable<Storage["findContents"]> = (wanted, below) =>
    findContents(this.#served, this.#root, wanted, below);

  /** See {@linkcode Storage.list}. */
  async *list(
    name: FileName | "",
    { recursive, omitted = false, ...shown }: ListOptions,
  ): AsyncGenerator<Listed> {
    const enter = () => this.#root.enter(name);
    using directory = enter();
    let looked = 0;
    const look = (name: FileName | "", directory: Directory, child: string) => {
      // The consumer of the list may take any time between entries.
      if (looked++ % STANDING_EVERY === 0) this.#root.assertStanding();
      return this.#seen(name, directory, child, shown);
    };
    yield* listTree(directory, name, { recursive, omitted, look, enter, served: this.#served });
  }

  /** Looks at an entry of a directory, and decides what a list shows of it. */
  #seen(
    name: FileName | "",
    directory: Directory,
    child: string,
    { links, ids }: Pick<ListOptions, "links" | "ids">,
  ): Seen {
    if (isRemovedName(child)) return { child };
    const filename = joinName(name, child);
    let info: Deno.FileInfo | undefined;
    try {
      info = this.#root.peek(directory, child);
      if (!info) {
        const omitted = mayBeNoText(child) ? notText() : "vanished";
        return { child, listed: { filename, omitted } };
      }
      if (!info.isSymlink) {
        const listed = this.#listedOf(filename, info);
        const id = ids ? this.#idOf(info) : undefined;
        return { child, info, listed: id === undefined ? listed : { ...listed, id } as Listed };
      }
      const link = links && this.#links?.of(directory, filename);
      if (link) return { child, info, listed: { filename, omitted: "link", link } };
      using place = this.#root.find(filename);
      return { child, info, listed: this.#listedOf(filename, place.info) };
    } catch (reason) {
      const error = fileError(reason);
      // A dangling link, or one that leads out of the root. Clients see no difference, since they may not look there.
      if (info?.isSymlink && LEADS_NOWHERE.includes(error.code)) {
        return { child, info, listed: { filename, omitted: "link" } };
      }
      // An error without a cause is one of ferry itself: it hides the state directory, or what is out of bounds.
      if (error.cause === undefined && HIDDEN.includes(error.code)) return { child };
      return { child, listed: { filename, omitted: error } };
    }
  }

  /** See {@linkcode Entry.id}. */
  #idOf({ isFile, nlink, dev, ino }: Deno.FileInfo): string | undefined {
    // Inode numbers that are not permanent may be those of two files.
    const several = isFile && (nlink ?? 1) > 1 && ino !== null && this.fileSystem.numbersFiles;
    return several ? fileId(this.#served.secret, inodeOf({ dev, ino })) : undefined;
  }

  #listedOf(filename: FileName, info: Deno.FileInfo): Listed {
    if (info.isFile || info.isDirectory) return this.#entryOf(filename, info);
    return { filename, omitted: info.isFifo ? "pipe" : info.isSocket ? "socket" : "device" };
  }

  #entryOf(filename: FileName | "", info: Deno.FileInfo, algorithm?: Algorithm): Entry {
    return entryOf(this.#served.cache, filename, info, algorithm);
  }

  /** See {@linkcode Storage.open}. */
  open(name: FileName, algorithm: Algorithm): Promise<StoredFile> {
    return FsStoredFile.open(this.#served, this.#root, name, algorithm);
  }

  /** See {@linkcode Storage.checksum}. */
  checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    return checksumOf(this.#served, this.#root, name, algorithm);
  }

  /** See {@linkcode Storage.assertFits}. */
  async assertFits(
    name: FileName,
    size: number | null,
    options: Pick<CreateOptions, "sparse"> = {},
  ): Promise<void> {
    const served = this.#served;
    await served.assertWritable();
    await served.quotas.prepare(name, size);
    await attempt(() => {
      this.#root.assertPlaceable(name);
      using _room = reserve(served, served.areas.for(name), { ...options, name, size });
    });
  }

  /** See {@linkcode Storage.create}. */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite> {
    return FsPendingWrite.create(this.#served, this.#root, name, options);
  }

  /** See {@linkcode Storage.remove}. */
  async remove(
    name: FileName,
    { recursive, signal, condition, within, onChanged }: RemoveOptions,
  ): Promise<void> {
    const served = this.#served;
    await served.counted();
    const asked = condition && { condition, algorithm: "md5" } as const;
    const still = asked && await assertMeets(served, this.#root, name, asked);
    signal?.throwIfAborted();
    using place = await attempt(() => {
      served.assertHeld();
      return this.#root.place(name, within);
    });
    const { directory, path, info } = place;
    if (info.isDirectory && recursive) await this.#removeTree(directory, name, signal);
    else {
      await attempt(() => {
        if (info.isDirectory) {
          throw new FerryError("not_a_file", "it is a directory; a recursive remove takes those");
        }
        still?.();
        Deno.removeSync(path);
        served.quota.lost(info);
        const identity = served.cache.identify(info, name);
        served.cache.forget(identity);
        served.hashes.forget(identity);
      });
    }
    served.quotas.lessened(name);
    onChanged?.();
    await this.#sync(directory);
  }

  async #removeTree(directory: Directory, name: FileName, signal?: AbortSignal): Promise<void> {
    const { quota, closing, unwritable, merges } = this.#served;
    const areas = () => unwritable ? undefined : this.#served.areas;
    await removeTree(directory, name, {
      peek: (directory, name) => {
        this.#root.assertStanding([directory]);
        const isLeft = isStagingName(name) && !areas()?.isInUse(directory, name);
        return isLeft ? infoAt(directory.at(name)) : this.#root.peek(directory, name);
      },
      onRemoved: (file) => quota.lost(file),
      setAside: (directory, name) => areas()?.beside(directory).setAside(directory.at(name)),
      signal: AbortSignal.any([closing, ...(signal ? [signal] : [])]),
      merges,
    });
  }

  /** See {@linkcode Storage.move}. */
  async move(from: FileName, to: FileName, options: MoveOptions): Promise<void> {
    const served = this.#served;
    await served.assertWritable();
    options.assertMay?.();
    using source = this.#root.place(from, options.within);
    if (from === to) return;
    const { runtime, areas, quota, quotas, durable, closing, merges, flushes } = served;
    const signal = AbortSignal.any([closing, ...(options.signal ? [options.signal] : [])]);
    const reaches = this.#reachesWith(source);
    await this.#links?.assertMovable(source, to, { reaches, signal });
    const parts = { runtime, areas, quota, quotas, durable, signal, merges, flushes };
    const work = { ...options, ...parts, from, to };
    await move(source, this.#bounds ? this.#root.confinedBy(reaches) : this.#root, work);
    this.#root.assertStanding([source.directory]);
  }

  /** Where an entry may be moved to. */
  #reachesWith({ directory, name }: Place): (path: string) => boolean {
    const bounds = this.#bounds;
    if (!bounds) return () => true;
    const from = this.#root.pathOf(directory, name);
    return (path) => bounds.takes(path, from);
  }

  /** See {@linkcode Storage.mkdir}. */
  async mkdir(name: FileName, { assertMay }: ChangeOptions = {}): Promise<void> {
    await this.#served.assertWritable();
    assertMay?.();
    using parents = new ParentDirectories(this.#root);
    const changed = await attempt(() => {
      const room = parents.room(name);
      try {
        Deno.mkdirSync(room.path);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw namingError(error, room.path);
        using place = this.#root.look(name);
        if (place?.info.isDirectory) return [];
        throw new FerryError("exists", "a file has that name");
      }
      return [room.directory, ...room.made];
    });
    await this.#sync(...changed);
  }

  /** Flushes changed directories to the disk before the change is acknowledged, if the storage is durable. */
  async #sync(...directories: ChangedDirectory[]): Promise<void> {
    if (this.#served.durable) await this.#served.flushes.sync(directories);
    this.#root.assertStanding(directories.filter((each) => each instanceof Directory));
  }

  /** Closes the storage and releases the directory for other processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#served[Symbol.asyncDispose]();
  }
}
