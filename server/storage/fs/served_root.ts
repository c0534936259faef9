/**
 * Everything that a storage keeps open for the directory that it serves. It is opened at the start, and again if the
 * directory was remounted or its state directory was removed.
 *
 * @module
 */

import { decodeHex, encodeHex } from "@std/encoding/hex";
import { DirectoryFlushes } from "../../../lib/files/directory_flush.ts";
import { BlockHashCache } from "./block_hash_cache.ts";
import { ChecksumCache } from "./checksum_cache.ts";
import { type FileSystem, fileSystemAt } from "../../../lib/file_system/file_system.ts";
import { spaceAt } from "../../../lib/file_system/space.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";
import type { Durability } from "../../../lib/files/durability.ts";
import type { OnMount } from "./mount_points.ts";
import { mountedAnew, type OnRoot } from "./root_directory.ts";
import type { GroupCommit } from "../../../lib/files/group_commit.ts";
import { publisherOf } from "./publishing.ts";
import { Quota } from "../quota.ts";
import { Quotas } from "../quotas.ts";
import { RecentlyPublished } from "./recently_published.ts";
import { Root } from "./root.ts";
import { TRIES_LOCKS } from "../../../lib/files/file_lock.ts";
import { readExactly, replaceExactly } from "../../../lib/files/partial_file.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { countBelow, countFiles } from "./file_count.ts";
import { makeDirectory } from "./open_directory.ts";
import { MergeQueue } from "./sorted_names.ts";
import { StagingAreas } from "./staging_areas.ts";
import type { Storage } from "../storage.ts";
import { type StorageUsage, sumOf } from "../usage.ts";
import { StateDirectory } from "./state_directory.ts";
import { createRuntime, type Runtime } from "../../../lib/runtime/runtime.ts";

/** The file name of the checksum cache in the state directory, and of one that several processes share. */
const CACHE = "index.db";
const SHARED_CACHE = "index-shared.db";

/** The file name of the cache of the hashes of blocks. */
const HASHES = "signatures.db";

/** The length in bytes of the secret from which the names of the states of files are made. */
const SECRET_BYTES = 32;

/** The file in the state directory with that secret, in hexadecimal, where several processes have to know it. */
const SECRET = "secret";

/** Options of `FsStorage.open`. */
export interface FsStorageOptions {
  /** Whether an acknowledged file survives a power failure. Default: `full`. */
  durability?: Durability | undefined;
  /** The maximum size of a file, in bytes. Default: undefined, no limit. */
  maxFileSize?: number | undefined;
  /**
   * The maximum total size of all regular files and partial uploads, in bytes. A file with several hard links counts
   * once. Existing files are counted when the storage is opened, and uploads wait for that. Changes by other programs
   * are only noticed when it is opened again. Default: undefined, no limit.
   */
  quota?: number | undefined;
  /**
   * Called when the directory is found to be lost because it was renamed, removed or unmounted, and when it is back,
   * possibly through another mount. Every operation fails with `io` in between.
   */
  onRoot?: OnRoot | undefined;
  /**
   * Called with the path of a file system below the directory when it is found to be gone because it was unmounted or
   * its FUSE program has ended, and when a file system is there again. Requests for files there fail with `io` in
   * between.
   */
  onMount?: OnMount | undefined;
  /**
   * Called before a wait with its maximum duration in milliseconds. If another process held the directory through
   * another path or on another machine, opening waits until that process has certainly ended.
   */
  onWaiting?: ((ms: number) => void) | undefined;
  /**
   * Whether clients may make symbolic links that stay in the directory. Not on Windows. Default: false.
   */
  links?: boolean | undefined;
  /**
   * Whether other processes on this machine that say so, too, may serve the directory at the same time. Directories
   * cannot be published as one then, and there can be no `quota`. Default: false.
   */
  together?: boolean | undefined;
  /** Buffers, threads and the clock, which may be shared with others. Default: its own. */
  runtime?: Runtime | undefined;
}

/** A served directory: its root, its state directory, and the checksums of its files. */
export class ServedRoot implements AsyncDisposable {
  /** The root, not confined. */
  readonly root: Root;
  /** Provides buffers, digests and the clock. */
  readonly runtime: Runtime;
  /** The checksums of files that have not changed. */
  readonly cache: ChecksumCache;
  /** The hashes of the blocks of files that have not changed. */
  readonly hashes: BlockHashCache;
  /** What makes the names of the states of files unpredictable; another one in each process that serves alone. */
  readonly secret: Uint8Array;
  /** Whether other processes may serve the same directory. */
  readonly together: boolean;
  /** Counts the bytes that are stored. */
  readonly quota: Quota;
  /** All quotas, that one among them. */
  readonly quotas: Quotas;
  /** Serialises the sorting of large directories among several walks. */
  readonly merges: MergeQueue = new MergeQueue();
  /** Flushes the directories in which names are made, moved or taken away, unless by publishing. */
  readonly flushes: DirectoryFlushes = new DirectoryFlushes();
  /** The directories that were published as one a short while ago. */
  readonly published: RecentlyPublished = new RecentlyPublished();
  /** Publishes files under their names. */
  readonly publisher: GroupCommit<Root>;
  /** Whether acknowledged changes survive a power failure. */
  readonly durable: boolean;
  /** What else is held open as long as this is. */
  readonly #held = new DisposableStack();
  /** Whether clients may make symbolic links. */
  readonly keepsLinks: boolean;
  /** Why nothing can be uploaded; undefined if uploads are possible. */
  readonly unwritable: FerryError | undefined;
  /** The state directory; undefined if nothing can be written. */
  readonly #state: StateDirectory | undefined;
  /** See `Storage.internal`; undefined until it is first asked for. */
  records: Promise<Storage> | undefined;
  readonly #closing = new AbortController();
  #areas: StagingAreas | undefined;
  #fileSystem: FileSystem;
  /** Resolves when the existing files have been counted; undefined if there is no quota. */
  #counted: Promise<void> | undefined;
  #counting: AbortController | undefined;

  private constructor(
    { root, state, cache, hashes, fileSystem }: {
      root: Root;
      state: StateDirectory | FerryError;
      cache: ChecksumCache;
      hashes: BlockHashCache;
      fileSystem: FileSystem;
    },
    options: FsStorageOptions,
  ) {
    this.root = root;
    this.cache = cache;
    this.hashes = hashes;
    this.runtime = options.runtime ?? createRuntime();
    this.quota = new Quota(options);
    this.quotas = new Quotas(this.quota, {
      count: (directories) => countBelow(this, directories),
      clock: this.runtime.clock,
    });
    this.together = options.together === true;
    this.durable = options.durability !== "none";
    this.keepsLinks = options.links === true && PLATFORM.symbolicLinks;
    this.#state = state instanceof StateDirectory ? state : undefined;
    this.unwritable = state instanceof StateDirectory ? undefined : state;
    this.secret = secretOf(this.#state);
    this.#fileSystem = fileSystem;
    this.publisher = publisherOf(this);
  }

  /**
   * Opens a directory. It may block for as long as `onWaiting` announces.
   *
   * @throws {FerryError} `not_found`; `not_a_file` if it is not a directory; `busy` if another process serves it;
   * `usage` for several processes with a `quota` or with an old version of Deno
   */
  static open(path: string, options: FsStorageOptions): ServedRoot {
    assertServable(path, options);
    using taken = new DisposableStack();
    const root = taken.use(Root.open(path, options.onRoot));
    const { mounts } = root.directory;
    if (mounts && options.onMount) mounts.onMount = options.onMount;
    const state = StateDirectory.open(root, options);
    const writable = state instanceof StateDirectory ? taken.use(state) : undefined;
    const fileSystem = writable?.fileSystem ?? untried(root);
    const cache = taken.use(ChecksumCache.open(writable && cacheIn(writable), {
      shared: options.together,
      device: numberedDevice(root, fileSystem),
      mountOf: (device) => root.directory.mounts?.mountOf(device),
    }));
    const hashes = taken.use(new BlockHashCache(writable && hashesIn(writable)));
    const served = new ServedRoot({ root, state, cache, hashes, fileSystem }, options);
    served.#openAreas();
    served.#count();
    served.#watchState();
    taken.move();
    return served;
  }

  #openAreas(): void {
    const { runtime, root } = this;
    const state = this.#state;
    this.#areas = state &&
      StagingAreas.open({ runtime, root, state, onCounted: (bytes) => this.quota.count(bytes) });
  }

  /** Starts counting the files in the root, and the server's own records. */
  #count(): void {
    if (!this.quota.isLimited) return;
    this.#counting?.abort(mountedAnew());
    this.#counting = new AbortController();
    const signal = AbortSignal.any([this.closing, this.#counting.signal]);
    const trees = () => this.#areas?.all.map(({ trees }) => trees) ?? [];
    const work = { signal, merges: this.merges, trees };
    this.#counted = countFiles(this.quota, this.root, work);
    // If counting fails, each upload fails with its error.
    this.#counted.catch(() => {});
  }

  /** Reopens everything after the state directory was removed or the root was remounted. */
  #watchState(): void {
    const { root, cache, hashes, quota } = this;
    const state = this.#state;
    if (!state) return;
    state.onRenewed = () => {
      cache.moveTo(cacheIn(state));
      hashes.moveTo(hashesIn(state));
      this.#areas!.renewed();
    };
    root.remountHandler = {
      recognises: (directory) => state.isLeftIn(directory),
      reopen: () => {
        this.#areas!.end();
        state.reopen();
        this.#fileSystem = state.fileSystem;
        cache.beginAnew(cacheIn(state), numberedDevice(root, state.fileSystem));
        hashes.beginAnew(hashesIn(state));
        quota.clear();
        this.#openAreas();
        this.#count();
      },
    };
  }

  /** What the file system of the root supports. */
  get fileSystem(): FileSystem {
    return this.#fileSystem;
  }

  /** Aborted when the storage is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Where this process can listen with a socket that only its user may connect to; undefined if nothing can be written.
   * `prepare` makes the directory that `path` is in, again if it was removed.
   */
  get socketPlace(): { prepare(): string; readonly path: string } | undefined {
    const state = this.#state;
    if (!state) return undefined;
    const prepare = () => {
      this.assertServing();
      return state.prepareSocket();
    };
    return {
      prepare,
      get path() {
        return state.socketPath;
      },
    };
  }

  /**
   * The staging areas. They are replaced by others when the root is remounted.
   *
   * @throws {FerryError} if nothing can be written
   */
  get areas(): StagingAreas {
    if (!this.#areas) throw this.unwritable!;
    return this.#areas;
  }

  /**
   * Fails if nothing can be served at the moment.
   *
   * @throws {FerryError} `io`; `busy` if another process has taken the directory
   */
  assertServing(): void {
    this.root.assertStanding();
    this.assertHeld();
  }

  /**
   * What it holds and could take. Nothing is counted for that: it takes no longer with more files.
   *
   * @throws {FerryError} as {@linkcode ServedRoot.assertServing}
   */
  usage(): StorageUsage {
    this.assertServing();
    const { limit, used } = this.quota;
    const areas = this.#areas?.all ?? [];
    return {
      disk: spaceAt(this.root.path),
      quota: limit === undefined ? undefined : { limit, used },
      partialUploads: sumOf(areas.map(({ kept }) => kept)),
      stagedTrees: sumOf(areas.map(({ trees }) => trees.kept)),
    };
  }

  /**
   * Fails if another process has taken the directory.
   *
   * @throws {FerryError} `busy`
   */
  assertHeld(): void {
    this.#state?.assertHeld();
  }

  /**
   * Makes a directory for something else that the server keeps beside the files, and holds it open.
   *
   * @returns a path that leads there, whatever other programs rename
   * @throws {FerryError} if nothing can be written
   */
  ownDirectory(name: string): string {
    if (!this.#state) throw this.unwritable!;
    try {
      return this.#held.use(makeDirectory(this.#state.directory, name)).path;
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Resolves when the existing files have been counted for the quota. */
  async counted(): Promise<void> {
    await this.#counted;
  }

  /**
   * Fails if nothing can be written; waits until the quota has counted the existing files.
   *
   * @throws {FerryError} why nothing can be written
   */
  async assertWritable(): Promise<void> {
    if (this.unwritable) throw this.unwritable;
    await this.#counted;
    await attempt(() => this.assertHeld());
  }

  /** Publishes what was committed, closes everything, and releases the directory for other processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    using held = new DisposableStack();
    held.use(this.root);
    held.use(this.#state);
    held.use(this.#held);
    held.use(this.#areas);
    held.use(this.cache);
    held.use(this.hashes);
    this.#closing.abort(new FerryError("closed", "the storage is being closed"));
    await this.#counted?.catch(() => {});
    await this.publisher.settle();
  }
}

/**
 * Checks whether a directory can be served with these options, without opening it.
 *
 * @throws {FerryError} as {@linkcode ServedRoot.open}, except for `busy`
 * @throws what the runtime throws if there is no such directory
 */
export function assertServable(path: string, { together, quota }: FsStorageOptions): void {
  if (together && !TRIES_LOCKS) {
    throw new FerryError("usage", "to serve it together with others takes a newer version of Deno");
  }
  if (together && quota !== undefined) {
    const reason = "each process would count for itself what several write: limit the disk instead";
    throw new FerryError(
      "usage",
      `a directory that several serve together has no quota: ${reason}`,
    );
  }
  if (!Deno.statSync(path).isDirectory) {
    throw new FerryError("not_a_file", "it is not a directory");
  }
}

/** The path of the checksum cache. */
function cacheIn({ directory, isShared }: StateDirectory): string {
  return directory.at(isShared ? SHARED_CACHE : CACHE);
}

/** The path of the cache of the hashes of blocks; undefined for one in memory, which each of several processes has. */
function hashesIn({ directory, isShared }: StateDirectory): string | undefined {
  return isShared ? undefined : directory.at(HASHES);
}

/** What the names of the states of files are made from. Several processes give a state the same name. */
function secretOf(state: StateDirectory | undefined): Uint8Array {
  const made = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  if (!state?.isShared) return made;
  const path = state.directory.at(SECRET);
  return state.inTurn(() => {
    if (isTaken(path)) return decodeHex(readExactly(path));
    replaceExactly(path, new TextEncoder().encode(encodeHex(made)), { durable: true });
    return made;
  });
}

/** The device of the root if its inode numbers are permanent, otherwise undefined. */
function numberedDevice({ directory }: Root, { numbersFiles }: FileSystem): number | undefined {
  return numbersFiles ? directory.device : undefined;
}

/** What is known of the file system of a root in which nothing can be written, so that no trial is possible. */
function untried({ path, directory }: Root): FileSystem {
  const known = fileSystemAt(path);
  return { ...known, heldDirectories: known.heldDirectories && directory.pinned };
}

/** Runs file system calls, and turns their errors into {@linkcode FerryError}s. */
// deno-lint-ignore require-await -- what it runs may throw at once
export async function attempt<T>(run: () => T): Promise<T> {
  try {
    return run();
  } catch (error) {
    throw fileError(error);
  }
}
