/**
 * Files in a directory of this machine. Uploads are staged in `.ferry/staging` inside the root, so that
 * giving them their name is one rename on one file system, and become visible with that rename.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../../../lib/runtime/runtime.ts";
import type { PrefixDigest, SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import { type Algorithm, algorithmOf, type Checksum } from "../../../lib/core/checksum.ts";
import { Batch } from "./batch.ts";
import { DigestIndex, type FileIdentity } from "./checksum_cache.ts";
import {
  type FileSystem,
  fileSystemAt,
  shortcomingsOf,
} from "../../../lib/file_system/file_system.ts";
import { Directory } from "./open_directory.ts";
import { type ErrorCode, FerryError, fileError } from "../../../lib/core/errors.ts";
import {
  type FileName,
  isRemovedName,
  isStagingName,
  joinName,
  mayBeNoText,
  notText,
} from "../../../lib/core/remote_name.ts";
import type { OnMount } from "./directory_descriptors.ts";
import type { Entry, Listed, PartEntry } from "../../../lib/core/entry.ts";
import { Jail, type Place } from "./root.ts";
import { type FileFacts, LocalFile } from "../../../lib/files/source_file.ts";
import { Moving } from "./move.ts";
import { OwnDirectory } from "./state_directory.ts";
import type { Claim, Parts } from "./partial_uploads.ts";
import { RESUMABLE_BYTES } from "../../../lib/files/partial_file.ts";
import { type Publication, Publisher } from "../../../lib/files/group_commit.ts";
import { mountedAnew, type OnRoot } from "./root_directory.ts";
import { Quota, type Reservation } from "../quota.ts";
import { type ChangedDirectory, syncDirectories } from "../../../lib/files/directory_flush.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { namingError } from "../../../lib/files/file_errors.ts";
import type { Durability } from "../../../lib/files/durability.ts";
import { StagingAreas } from "./staging_areas.ts";
import type {
  Bounds,
  ChangeOptions,
  CreateOptions,
  DiscardOptions,
  ListOptions,
  MoveOptions,
  PendingWrite,
  RemoveOptions,
  ResumeOptions,
  Storage,
  StoredFile,
} from "../storage.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import { checksumOfSource } from "../../../lib/digest/source_digest.ts";
import { copyContent } from "./tree_copy.ts";
import { listTree, type Seen } from "./tree_listing.ts";
import { removeTree } from "./tree_removal.ts";
import { eachBelow } from "./tree_walk.ts";
import { turn } from "../../../lib/core/time_slices.ts";

/** The index of checksums in ferry's own directory. */
const INDEX = "index.db";

/** How many names are looked up before others have their turn. */
const FIND_AT_ONCE = 256;

/** After how many entries of a list it is looked again whether the root is still there. */
const STANDING_EVERY = 64;

/** The errors that say that a link leads nowhere. */
const LEADS_NOWHERE: readonly ErrorCode[] = ["not_found", "not_a_file", "bad_name"];

/** The errors of our own that keep something from whoever may not know of it. */
const HIDDEN: readonly ErrorCode[] = ["not_found", "denied"];

/** Options of {@linkcode FsStorage.open}. */
export interface FsStorageOptions {
  /** Whether an acknowledged file survives a loss of power; `full` unless told otherwise. */
  durability?: Durability | undefined;
  /** How large a file may be in bytes; any size unless told otherwise. */
  maxFileSize?: number | undefined;
  /**
   * How many bytes all regular files, each once whatever links lead to it, and the parts of those that were
   * cut, may have together; any number unless told otherwise. What is there is counted from when the storage
   * is opened, and whoever writes waits for that. What other programs put into the directory or take out of it
   * later is noticed when it is opened again.
   */
  quota?: number | undefined;
  /**
   * Told when the directory is noticed to be lost, since it was renamed, removed or unmounted, and when it is
   * noticed to be back, also by another mount. Every operation fails with `io` in between.
   */
  onRoot?: OnRoot | undefined;
  /**
   * Told with its path when a file system below the directory is noticed to be gone, since it was unmounted or its
   * program has ended, and when one is there again. What is asked for there fails with `io` in between.
   */
  onMount?: OnMount | undefined;
  /**
   * Told for how many milliseconds at most is waited, before that: where another process had the directory by
   * another path or on another machine, it is watched until it is sure that it has ended.
   */
  onWaiting?: ((ms: number) => void) | undefined;
}

/** What a storage holds until it is disposed of, and shares with the same storage within bounds. */
interface Shared {
  durable: boolean;
  /** Undefined where nothing can be written. */
  own: OwnDirectory | undefined;
  /** What is said then to who wants to write. */
  unwritable: FerryError | undefined;
  index: DigestIndex;
  /** That of the root. */
  fileSystem: FileSystem;
  publisher: Publisher<Jail>;
  areas: StagingAreas | undefined;
  quota: Quota;
  /** Resolves when all that the quota counts was counted; undefined where there is none. */
  counted: Promise<void> | undefined;
  /** Ends long work when the storage is closed. */
  closing: AbortController;
}

/** A {@linkcode Storage} in a directory. One process at a time may have it open. */
export class FsStorage implements Storage {
  readonly #jail: Jail;
  readonly #bounds: Bounds | undefined;
  readonly #shared: Shared;

  private constructor(jail: Jail, shared: Shared, bounds?: Bounds) {
    this.#jail = jail;
    this.#bounds = bounds;
    this.#shared = shared;
  }

  get #index(): DigestIndex {
    return this.#shared.index;
  }

  get #areas(): StagingAreas | undefined {
    return this.#shared.areas;
  }

  get #quota(): Quota {
    return this.#shared.quota;
  }

  static #over(
    { jail, ...held }:
      & Pick<Shared, "own" | "unwritable" | "index" | "fileSystem">
      & { jail: Jail },
    options: FsStorageOptions,
  ): FsStorage {
    const durable = options.durability !== "none";
    const quota = new Quota(options);
    const publisher = new Publisher({
      durable,
      rooms: () => new Batch(jail),
      ...(quota.isLimited ? { onReplaced: (file) => quota.lost(file) } : {}),
      onTaken: (publication) =>
        new FsStorage(publication.within ?? jail, shared).#keepIfSame(publication),
      onApart: (publication) =>
        new FsStorage(publication.within ?? jail, shared).#bringOver(publication),
    });
    const { own } = held;
    const openAreas = () =>
      own && new StagingAreas({ jail, own, onCounted: (bytes) => quota.count(bytes) });
    const closing = new AbortController();
    let counting: AbortController | undefined;
    const count = (): Promise<void> | undefined => {
      if (!quota.isLimited) return undefined;
      counting?.abort(mountedAnew());
      counting = new AbortController();
      const signal = AbortSignal.any([closing.signal, counting.signal]);
      const counted = countFiles(quota, jail, signal);
      // Who writes is told.
      counted.catch(() => {});
      return counted;
    };
    const areas = openAreas();
    const shared: Shared = { ...held, durable, publisher, areas, quota, counted: count(), closing };
    if (own) {
      own.onRenewed = () => {
        held.index.moveTo(own.directory.at(INDEX));
        shared.areas!.renewed();
      };
      jail.keeper = {
        recognises: (directory) => own.isLeftIn(directory),
        takeUp: () => {
          shared.areas!.end();
          own.takeUp();
          shared.fileSystem = own.fileSystem;
          held.index.beginAnew(own.directory.at(INDEX), numberedDevice(jail, own.fileSystem));
          quota.clear();
          shared.areas = openAreas();
          shared.counted = count();
        },
      };
    }
    return new FsStorage(jail, shared);
  }

  /** See {@linkcode Storage.within}. */
  within(bounds: Bounds): FsStorage {
    const jail = new Jail(this.#jail, { reaches: (path) => bounds.reaches(path) });
    return new FsStorage(jail, this.#shared, bounds);
  }

  /** See {@linkcode Storage.assertServing}. */
  assertServing(): Promise<void> {
    return attempt(() => {
      this.#jail.assertStanding();
      this.#shared.own?.assertHeld();
    });
  }

  /**
   * Opens a directory as a storage and clears away what an earlier process left in its staging area,
   * but for the parts that can be gone on from. It may block for as long as `onWaiting` is told.
   * A directory that cannot be written to is served for reading.
   *
   * @throws {FerryError} `not_found`, `not_a_file` where it is no directory, `busy` where another
   * process serves it
   */
  static open(root: string, options: FsStorageOptions = {}): FsStorage {
    try {
      if (!Deno.statSync(root).isDirectory) {
        throw new FerryError("not_a_file", "it is not a directory");
      }
      using taken = new DisposableStack();
      const jail = taken.use(new Jail(root, { onRoot: options.onRoot }));
      if (options.onMount) jail.directory.onMount = options.onMount;
      const claimed = OwnDirectory.takeOver(jail, options);
      const own = claimed instanceof OwnDirectory ? taken.use(claimed) : undefined;
      const unwritable = claimed instanceof OwnDirectory ? undefined : claimed;
      const fileSystem = own?.fileSystem ?? untried(jail);
      const device = numberedDevice(jail, fileSystem);
      const mountOf = (device: number) => jail.directory.mountOf(device);
      const index = taken.use(new DigestIndex(own?.directory.at(INDEX), { device, mountOf }));
      const storage = FsStorage.#over({ jail, own, unwritable, index, fileSystem }, options);
      taken.move();
      return storage;
    } catch (error) {
      throw fileError(error).during(`serve ${JSON.stringify(root)}`);
    }
  }

  /**
   * Whether a name leads nowhere else when another program swaps links in while a request runs. That takes
   * Linux with `/proc`, a directory for temporary files, and the permission to read and write everywhere; and a
   * file system on which a directory that was held open stayed itself when its name was given to another one.
   */
  get guarded(): boolean {
    return this.fileSystem.heldDirectories;
  }

  /**
   * What the file system of the directory was seen to keep when the storage was opened, or the directory mounted anew;
   * what its type tells where nothing can be written.
   */
  get fileSystem(): FileSystem {
    return this.#shared.fileSystem;
  }

  /** See {@linkcode Storage.shortcomings}: what the file system does not keep of what is relied on here. */
  get shortcomings(): string[] {
    const { fileSystem, durable, unwritable } = this.#shared;
    const missing = shortcomingsOf(fileSystem, { writable: !unwritable, durable });
    return unwritable
      ? [`nothing can be uploaded here: ${unwritable.reason}`, ...missing]
      : missing;
  }

  /** See {@linkcode Storage.root}. */
  get root(): string {
    return this.#jail.root;
  }

  /**
   * Why nothing can be uploaded, where that is so: the file system does not allow it, or it had no room for what an
   * upload takes when the storage was opened. What is there can be read, and where the file system allows it removed.
   */
  get unwritable(): FerryError | undefined {
    return this.#shared.unwritable;
  }

  /** See {@linkcode Storage.stat}. */
  stat(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry> {
    return attempt(() => {
      using place = this.#jail.find(name);
      return this.#entryOf(name, place.info, algorithm);
    });
  }

  /** See {@linkcode Storage.find}. */
  find(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry | undefined> {
    return attempt(() => {
      using place = this.#jail.look(name);
      return place && this.#entryOf(name, place.info, algorithm);
    });
  }

  /** See {@linkcode Storage.findAll}. */
  async findAll(
    names: readonly FileName[],
    algorithm: Algorithm = "md5",
  ): Promise<(Entry | FerryError | undefined)[]> {
    const found: (Entry | FerryError | undefined)[] = [];
    // Each batch holds the directories of its names.
    for (let from = 0; from < names.length; from += FIND_AT_ONCE) {
      if (from > 0) await turn();
      using batch = new Batch(this.#jail);
      for (const name of names.slice(from, from + FIND_AT_ONCE)) {
        found.push(this.#foundIn(batch, name, algorithm));
      }
    }
    return found;
  }

  #foundIn(batch: Batch, name: FileName, algorithm: Algorithm): Entry | FerryError | undefined {
    try {
      const info = batch.look(name);
      return info && this.#entryOf(name, info, algorithm);
    } catch (error) {
      const failure = fileError(error);
      return failure.code === "not_found" ? undefined : failure;
    }
  }

  /** See {@linkcode Storage.list}. */
  async *list(
    name: FileName | "",
    { recursive, omitted = false }: ListOptions,
  ): AsyncGenerator<Listed> {
    using directory = this.#jail.enter(name);
    let looked = 0;
    const look = (name: FileName | "", directory: Directory, child: string) => {
      // Whoever takes the entries may take his time.
      if (looked++ % STANDING_EVERY === 0) this.#jail.assertStanding();
      return this.#seen(name, directory, child);
    };
    const { signal } = this.#shared.closing;
    yield* listTree(directory, name, { recursive, omitted, look, signal });
  }

  /** What stands in a directory, and what is told of it. */
  #seen(name: FileName | "", directory: Directory, child: string): Seen {
    if (isRemovedName(child)) return { child };
    const filename = joinName(name, child);
    let info: Deno.FileInfo | undefined;
    try {
      info = this.#jail.peek(directory, child);
      if (!info) {
        return {
          child,
          listed: { filename, omitted: mayBeNoText(child) ? notText() : "vanished" },
        };
      }
      if (!info.isSymlink) return { child, info, listed: this.#listedOf(filename, info) };
      using place = this.#jail.find(filename);
      return { child, info, listed: this.#listedOf(filename, place.info) };
    } catch (reason) {
      const error = fileError(reason);
      const isLink = info?.isSymlink === true;
      // A link to nowhere, or out of the root; they are the same to whoever may not look there.
      if (isLink && LEADS_NOWHERE.includes(error.code)) {
        return { child, info, listed: { filename, omitted: "link" } };
      }
      // What is of our own making, and not of the system's: ferry's own directory, or what is out of bounds.
      if (error.cause === undefined && HIDDEN.includes(error.code)) return { child };
      return { child, listed: { filename, omitted: error } };
    }
  }

  #listedOf(filename: FileName, info: Deno.FileInfo): Listed {
    if (info.isFile || info.isDirectory) return this.#entryOf(filename, info);
    const { isFifo, isSocket } = info;
    return { filename, omitted: isFifo ? "pipe" : isSocket ? "socket" : "device" };
  }

  #lookOrSkip(name: FileName): Entry | undefined {
    try {
      using place = this.#jail.find(name);
      return this.#entryOf(name, place.info);
    } catch {
      // Gone meanwhile, a link to nowhere or out of the root, a pipe: not for listing.
      return undefined;
    }
  }

  /** See {@linkcode Storage.open}. */
  open(name: FileName, algorithm: Algorithm): Promise<StoredFile> {
    return this.#open(name, algorithm);
  }

  async #open(name: FileName, algorithm: Algorithm): Promise<FsStoredFile> {
    const file = await attempt(() => this.#jail.open(name));
    try {
      await file.assertSized();
      const mount = this.#jail.directory.keepMounted(file.info.dev);
      return new FsStoredFile(file, this.#entryOf(name, file.info, algorithm), this.#index, mount);
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw fileError(error);
    }
  }

  /** See {@linkcode Storage.assertFits}. */
  async assertFits(name: FileName, size: number | null): Promise<void> {
    await this.#writable();
    await attempt(() => {
      this.#jail.assertPlaceable(name);
      using _room = this.#reserve(size, this.#areas!.for(name));
    });
  }

  /** Takes the room that a new file needs. */
  #reserve(size: number | null, parts: Parts): Reservation {
    using taken = new DisposableStack();
    const reserved = taken.use(this.#quota.reserve(size));
    if (size !== null && size > RESUMABLE_BYTES) parts.assertRoom(size);
    taken.move();
    return reserved;
  }

  /** See {@linkcode Storage.create}. */
  async create(name: FileName, options: CreateOptions): Promise<PendingWrite> {
    await this.#writable();
    return await attempt(() => {
      this.#jail.assertPlaceable(name, { fresh: options.replace === false });
      const parts = this.#areas!.for(name);
      using taken = new DisposableStack();
      const reserved = taken.use(this.#reserve(options.size, parts));
      const claim = parts.create(name, options);
      taken.move();
      return this.#pending(name, claim, reserved);
    });
  }

  #pending(name: FileName, claim: Claim, reserved: Reservation): FsPendingWrite {
    const { publisher, fileSystem } = this.#shared;
    const look = fileSystem.timeStep !== 1;
    return new FsPendingWrite({ name, claim, reserved, publisher, jail: this.#jail, look });
  }

  /** See {@linkcode Storage.resume}. */
  async resume(name: FileName, options: ResumeOptions): Promise<PendingWrite | undefined> {
    await this.#writable();
    const parts = await attempt(() => {
      this.#jail.assertPlaceable(name);
      return this.#areas!.for(name);
    });
    const claim = await parts.resume(name, options).catch((error) => {
      throw fileError(error);
    });
    if (!claim) return undefined;
    const { size } = options;
    const held = claim.behind?.size ?? 0;
    await using taken = new AsyncDisposableStack();
    taken.use(claim);
    // Who has no room for the rest now may have it later.
    taken.defer(() => claim.keep());
    const reserved = this.#quota.reserve(size, held);
    taken.use(reserved);
    if (size !== null) await attempt(() => parts.assertRoom(size - held));
    taken.move();
    return this.#pending(name, claim, reserved);
  }

  /** See {@linkcode Storage.parts}. */
  parts(owner = ""): Promise<PartEntry[]> {
    return attempt(() => {
      this.#jail.assertStanding();
      return this.#areas?.list(owner) ?? [];
    });
  }

  /** See {@linkcode Storage.discardParts}. */
  async discardParts(
    name: FileName,
    { owner = "", assertMay }: DiscardOptions = {},
  ): Promise<void> {
    await this.#writable();
    await attempt(() => {
      this.#jail.assertStanding();
      assertMay?.();
      this.#areas!.discard(name, owner);
    });
  }

  /** See {@linkcode Storage.expireParts}. */
  expireParts(ttl: number): Promise<void> {
    return attempt(() => {
      this.#jail.assertStanding();
      this.#areas?.expire(ttl);
    });
  }

  /** See {@linkcode Storage.remove}. */
  async remove(name: FileName, { recursive, signal }: RemoveOptions): Promise<void> {
    await this.#shared.counted;
    signal?.throwIfAborted();
    using place = await attempt(() => {
      this.#shared.own?.assertHeld();
      return this.#jail.place(name);
    });
    const { directory, path, info } = place;
    if (info.isDirectory && recursive) {
      await removeTree(directory, name, {
        peek: (directory, name) => {
          this.#jail.assertStanding([directory]);
          const isLeft = isStagingName(name) && !this.#areas?.isInUse(directory, name);
          return isLeft ? infoAt(directory.at(name)) : this.#jail.peek(directory, name);
        },
        onRemoved: (file) => this.#quota.lost(file),
        setAside: (directory, name) => this.#areas?.beside(directory).setAside(directory.at(name)),
        signal: AbortSignal.any([this.#shared.closing.signal, ...(signal ? [signal] : [])]),
      });
    } else {
      await attempt(() => {
        if (info.isDirectory) {
          throw new FerryError("not_a_file", "it is a directory; a recursive remove takes those");
        }
        Deno.removeSync(path);
        this.#quota.lost(info);
        this.#index.forget(this.#index.identify(info, name));
      });
    }
    await this.#sync(directory);
  }

  /** See {@linkcode Storage.move}. */
  async move(from: FileName, to: FileName, options: MoveOptions): Promise<void> {
    await this.#writable();
    options.assertMay?.();
    using source = this.#jail.place(from);
    if (from === to) return;
    const areas = this.#areas!;
    const { quota, durable, closing } = this.#shared;
    const signals = [closing.signal, ...(options.signal ? [options.signal] : [])];
    const moving = new Moving(source, this.#jailAround(source), {
      ...options,
      from,
      to,
      areas,
      quota,
      durable,
      signal: AbortSignal.any(signals),
    });
    await moving.run();
    this.#jail.assertStanding([source.directory]);
  }

  /** The jail for where something is moved to. */
  #jailAround({ directory, name }: Place): Jail {
    const bounds = this.#bounds;
    if (!bounds) return this.#jail;
    const from = this.#jail.pathOf(directory, name);
    return new Jail(this.#jail, { reaches: (path) => bounds.takes(path, from) });
  }

  /** See {@linkcode Storage.mkdir}. */
  async mkdir(name: FileName, { assertMay }: ChangeOptions = {}): Promise<void> {
    await this.#writable();
    assertMay?.();
    using batch = new Batch(this.#jail);
    const changed = await attempt(() => {
      const room = batch.room(name);
      try {
        Deno.mkdirSync(room.path);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw namingError(error, room.path);
        using place = this.#jail.look(name);
        if (place?.info.isDirectory) return [];
        throw new FerryError("exists", "a file has that name");
      }
      return [room.directory, ...room.made];
    });
    await this.#sync(...changed);
  }

  /** Closes the index and lets another process have the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { publisher, index, own, areas, counted, closing } = this.#shared;
    using held = new DisposableStack();
    held.use(this.#jail);
    held.use(own);
    held.use(areas);
    held.use(index);
    closing.abort(new FerryError("closed", "the storage is being closed"));
    await counted?.catch(() => {});
    await publisher.settle();
  }

  /** Fails where nothing can be written; else {@linkcode Shared.areas} are there. Waits until the quota has counted. */
  async #writable(): Promise<void> {
    if (!this.#areas) throw this.#shared.unwritable!;
    await this.#shared.counted;
    await attempt(() => this.#shared.own?.assertHeld());
  }

  #entryOf(filename: FileName | "", info: FileFacts, algorithm: Algorithm = "md5"): Entry {
    const { isFile, isDirectory, size, mtime, mode } = info;
    if (!isFile && !isDirectory) {
      throw new FerryError("not_a_file", "it is neither a file nor a directory");
    }
    const index = this.#index;
    return {
      filename,
      type: isFile ? "file" : "directory",
      size: isFile ? size : 0,
      mtime: mtime?.getTime() ?? 0,
      mode: (mode ?? (isFile ? 0o644 : 0o755)) & 0o777,
      // Looking it up costs more than all the rest, and most who ask for an entry do not ask for this.
      get checksum() {
        return isFile ? index.lookup(index.identify(info, filename), algorithm) : null;
      },
    };
  }

  /** Copies what was staged on another file system than its name is on, and publishes that. */
  async #bringOver(publication: Publication<Jail>): Promise<Committed> {
    const { name, staged, checksum } = publication;
    await this.#writable();
    using directory = this.#jail.nearest(name);
    await using claim = this.#areas!.beside(directory).create(name, { size: staged.size });
    await using source = LocalFile.of(openExactly(staged.path, { read: true }), SHARED_RUNTIME);
    const { durable, closing: { signal } } = this.#shared;
    const algorithm = algorithmOf(checksum)!;
    if (await copyContent(source, claim.staged, algorithm, { durable, signal }) !== checksum) {
      throw new FerryError("io", "the file system gives other bytes than it was given");
    }
    return await this.#shared.publisher.publish({
      ...publication,
      staged: claim.staged,
      broughtOver: true,
      onNaming: () => claim.unrecord(),
    });
  }

  /** An identical file under the name is as good as the new one. */
  async #keepIfSame({ name, checksum, staged }: Publication<Jail>): Promise<Committed> {
    const there = this.#lookOrSkip(name);
    if (there?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    const same = there?.size === staged.size &&
      await this.checksum(name, algorithmOf(checksum)!) === checksum;
    if (same) {
      return { checksum, size: there.size, unchanged: true };
    }
    throw new FerryError("exists", "another file has that name");
  }

  /** See {@linkcode Storage.checksum}. */
  async checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    await using file = await this.#open(name, algorithm);
    if (file.entry.checksum !== null) return file.entry.checksum;
    return await this.#index.computeOnce(file.identity, algorithm, async (close) => {
      const checksum = await checksumOfSource(SHARED_RUNTIME, file, { algorithm, onRead: close });
      await file.remember(checksum);
      return checksum;
    });
  }

  /** Makes sure of what was done before it is acknowledged. */
  async #sync(...directories: ChangedDirectory[]): Promise<void> {
    if (this.#shared.durable) await syncDirectories(directories);
    this.#jail.assertStanding(directories.filter((each) => each instanceof Directory));
  }
}

/** The device on which an inode number stands for one file, now and later. */
function numberedDevice({ directory }: Jail, { numbersFiles }: FileSystem): number | undefined {
  return numbersFiles ? directory.device : undefined;
}

/** What is known of the file system of a root where nothing can be tried. */
function untried({ root, directory }: Jail): FileSystem {
  const known = fileSystemAt(root);
  return { ...known, heldDirectories: known.heldDirectories && directory.pinned };
}

/** Counts what is in a root. */
async function countFiles(quota: Quota, jail: Jail, signal: AbortSignal): Promise<void> {
  try {
    await eachBelow(jail.directory, {
      peek: (directory, name) => {
        try {
          return jail.peek(directory, name);
        } catch {
          // Ferry's own directory.
          return undefined;
        }
      },
      onFound: (info) => quota.found(info),
      signal,
    });
  } catch (error) {
    throw fileError(error).during("count what the quota has to count");
  }
}

/** Runs something on the file system and gives its errors their codes. */
// deno-lint-ignore require-await -- what it runs may throw at once
async function attempt<T>(run: () => T): Promise<T> {
  try {
    return run();
  } catch (error) {
    throw fileError(error);
  }
}

class FsStoredFile implements StoredFile {
  readonly #file: LocalFile;
  readonly #index: DigestIndex;
  readonly #mount: Disposable | undefined;
  readonly entry: Entry;

  constructor(file: LocalFile, entry: Entry, index: DigestIndex, mount: Disposable | undefined) {
    this.#file = file;
    this.entry = entry;
    this.#index = index;
    this.#mount = mount;
  }

  get identity(): FileIdentity {
    return this.#index.identify(this.#file.info, this.entry.filename);
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#file.read(into);
  }

  seek(offset: number): void {
    this.#file.seek(offset);
  }

  assertUnchanged(whole?: Checksum): Promise<void> {
    return this.#file.assertUnchanged(whole);
  }

  remember(checksum: Checksum): Promise<void> {
    const { identity } = this;
    const now = this.#index.identify(this.#file.now(), this.entry.filename);
    // What was changed a moment before it was opened may have changed again and look the same.
    if (this.#file.settled && now.version === identity.version) {
      this.#index.record([{ identity, checksum }]);
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#mount?.[Symbol.dispose]();
    return this.#file[Symbol.asyncDispose]();
  }
}

/** What {@linkcode FsPendingWrite} is made of. */
interface FsPendingWriteParts {
  name: FileName;
  claim: Claim;
  reserved: Reservation;
  publisher: Publisher<Jail>;
  jail: Jail;
  /** Whether it is looked what of its time is kept: where the file system does not keep all of it. */
  look: boolean;
}

class FsPendingWrite implements PendingWrite {
  readonly #parts: FsPendingWriteParts;
  /** How much is written, what was there before among it. */
  #size: number;

  constructor(parts: FsPendingWriteParts) {
    this.#parts = parts;
    this.#size = parts.claim.behind?.size ?? 0;
  }

  get behind(): PrefixDigest | undefined {
    return this.#parts.claim.behind;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { claim, reserved, jail } = this.#parts;
    // What comes in one piece is asked about as it began and when it is committed.
    if (this.#size > 0) jail.assertStanding();
    claim.touch();
    this.#size += bytes.length;
    reserved.grow(this.#size);
    await claim.staged.write(bytes);
  }

  checkpoint(prefix: SavedPrefix): Promise<void> {
    return attempt(() => {
      this.#parts.jail.assertStanding();
      this.#parts.claim.checkpoint(prefix);
    });
  }

  keep(): void {
    this.#parts.claim.keep();
  }

  async commit(options: CommitOptions): Promise<Committed> {
    const { name, claim, reserved, publisher, jail, look } = this.#parts;
    const { staged } = claim;
    claim.touch();
    return await publisher.publish({
      name,
      staged,
      within: jail,
      look,
      explicit: options.mode !== undefined,
      ...options,
      onNaming: () => claim.unrecord(),
      onNamed: () => reserved.settle(this.#size),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { claim, reserved } = this.#parts;
    try {
      await claim[Symbol.asyncDispose]();
    } finally {
      reserved.settle(claim.left);
    }
  }
}
