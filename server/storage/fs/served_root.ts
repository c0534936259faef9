/**
 * Everything that a storage keeps open of the directory that it serves, and how it is opened: at the start, and again
 * where the directory was mounted again or its state directory was removed.
 *
 * @module
 */

import { ChecksumCache } from "./checksum_cache.ts";
import { type FileSystem, fileSystemAt } from "../../../lib/file_system/file_system.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import type { Durability } from "../../../lib/files/durability.ts";
import type { OnMount } from "./mount_points.ts";
import { mountedAnew, type OnRoot } from "./root_directory.ts";
import type { GroupCommit } from "../../../lib/files/group_commit.ts";
import { publisherOf } from "./publishing.ts";
import { Quota } from "../quota.ts";
import { Root } from "./root.ts";
import { MergeQueue } from "./sorted_names.ts";
import { StagingAreas } from "./staging_areas.ts";
import { StateDirectory } from "./state_directory.ts";
import { createRuntime, type Runtime } from "../../../lib/runtime/runtime.ts";
import { eachBelow } from "./tree_walk.ts";

/** The checksum cache in the state directory. */
const CACHE = "index.db";

/** Options of `FsStorage.open`. */
export interface FsStorageOptions {
  /** Whether an acknowledged file survives a loss of power. Default: `full`. */
  durability?: Durability | undefined;
  /** How large a file may be, in bytes. Default: any size. */
  maxFileSize?: number | undefined;
  /**
   * How many bytes all regular files, each once whatever links lead to it, and the partial uploads may have together.
   * What is there is counted when the storage is opened, and uploads wait for that. Changes by other programs are
   * noticed when it is opened again. Default: any number.
   */
  quota?: number | undefined;
  /**
   * Told when the directory is noticed to be lost, since it was renamed, removed or unmounted, and when it is noticed to
   * be back, also by another mount. Every operation fails with `io` in between.
   */
  onRoot?: OnRoot | undefined;
  /**
   * Told with its path when a file system below the directory is noticed to be gone, since it was unmounted or its
   * program has ended, and when one is there again. Requests for files there fail with `io` in between.
   */
  onMount?: OnMount | undefined;
  /**
   * Told before a wait for how many milliseconds it may last: where another process had the directory by another path
   * or on another machine, it is watched until it has surely ended.
   */
  onWaiting?: ((ms: number) => void) | undefined;
  /** Memory, threads and the time, maybe shared with others. Default: its own. */
  runtime?: Runtime | undefined;
}

/** A directory that is served: its root, its state directory, and what is known of its files. */
export class ServedRoot implements AsyncDisposable {
  /** The root, which reaches everything. */
  readonly root: Root;
  /** What memory, digests and the time come from. */
  readonly runtime: Runtime;
  /** The checksums of files that have not changed. */
  readonly cache: ChecksumCache;
  /** The account of what is stored. */
  readonly quota: Quota;
  /** Makes the walks through large directories take turns at sorting. */
  readonly merges: MergeQueue = new MergeQueue();
  /** Gives files their names. */
  readonly publisher: GroupCommit<Root>;
  /** Whether what is acknowledged survives a loss of power. */
  readonly durable: boolean;
  /** Why nothing can be uploaded, where that is so. */
  readonly unwritable: FerryError | undefined;
  /** Undefined where nothing can be written. */
  readonly #state: StateDirectory | undefined;
  readonly #closing = new AbortController();
  #areas: StagingAreas | undefined;
  #fileSystem: FileSystem;
  /** Resolves when everything was counted that the quota counts; undefined where there is no quota. */
  #counted: Promise<void> | undefined;
  #counting: AbortController | undefined;

  private constructor(
    { root, state, cache, fileSystem }: {
      root: Root;
      state: StateDirectory | FerryError;
      cache: ChecksumCache;
      fileSystem: FileSystem;
    },
    options: FsStorageOptions,
  ) {
    this.root = root;
    this.cache = cache;
    this.runtime = options.runtime ?? createRuntime();
    this.quota = new Quota(options);
    this.durable = options.durability !== "none";
    this.#state = state instanceof StateDirectory ? state : undefined;
    this.unwritable = state instanceof StateDirectory ? undefined : state;
    this.#fileSystem = fileSystem;
    this.publisher = publisherOf(this);
  }

  /**
   * Opens a directory. It may block for as long as `onWaiting` is told.
   *
   * @throws {FerryError} `not_found`, `not_a_file` where it is no directory, `busy` where another process serves it
   */
  static open(path: string, options: FsStorageOptions): ServedRoot {
    if (!Deno.statSync(path).isDirectory) {
      throw new FerryError("not_a_file", "it is not a directory");
    }
    using taken = new DisposableStack();
    const root = taken.use(Root.open(path, options.onRoot));
    const { mounts } = root.directory;
    if (mounts && options.onMount) mounts.onMount = options.onMount;
    const state = StateDirectory.open(root, options);
    const writable = state instanceof StateDirectory ? taken.use(state) : undefined;
    const fileSystem = writable?.fileSystem ?? untried(root);
    const cache = taken.use(ChecksumCache.open(writable?.directory.at(CACHE), {
      device: numberedDevice(root, fileSystem),
      mountOf: (device) => root.directory.mounts?.mountOf(device),
    }));
    const served = new ServedRoot({ root, state, cache, fileSystem }, options);
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

  /** Begins to count what is in the root. */
  #count(): void {
    if (!this.quota.isLimited) return;
    this.#counting?.abort(mountedAnew());
    this.#counting = new AbortController();
    const signal = AbortSignal.any([this.closing, this.#counting.signal]);
    this.#counted = countFiles(this.quota, this.root, { signal, merges: this.merges });
    // Its failure is the failure of each upload.
    this.#counted.catch(() => {});
  }

  /** Opens everything again where the state directory was removed, or the root was mounted again. */
  #watchState(): void {
    const { root, cache, quota } = this;
    const state = this.#state;
    if (!state) return;
    state.onRenewed = () => {
      cache.moveTo(state.directory.at(CACHE));
      this.#areas!.renewed();
    };
    root.remountHandler = {
      recognises: (directory) => state.isLeftIn(directory),
      reopen: () => {
        this.#areas!.end();
        state.reopen();
        this.#fileSystem = state.fileSystem;
        cache.beginAnew(state.directory.at(CACHE), numberedDevice(root, state.fileSystem));
        quota.clear();
        this.#openAreas();
        this.#count();
      },
    };
  }

  /** What the file system of the root keeps. */
  get fileSystem(): FileSystem {
    return this.#fileSystem;
  }

  /** Aborted when the storage is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * The staging areas. Others take their place where the root is mounted again.
   *
   * @throws {FerryError} where nothing can be written
   */
  get areas(): StagingAreas {
    if (!this.#areas) throw this.unwritable!;
    return this.#areas;
  }

  /**
   * Fails where nothing can be served now.
   *
   * @throws {FerryError} `io`; `busy` where another process has the directory by now
   */
  assertServing(): void {
    this.root.assertStanding();
    this.assertHeld();
  }

  /**
   * Fails where another process has the directory by now.
   *
   * @throws {FerryError} `busy`
   */
  assertHeld(): void {
    this.#state?.assertHeld();
  }

  /** Resolves when the quota has counted. */
  async counted(): Promise<void> {
    await this.#counted;
  }

  /**
   * Fails where nothing can be written; waits for the quota.
   *
   * @throws {FerryError} why nothing can be written
   */
  async assertWritable(): Promise<void> {
    if (this.unwritable) throw this.unwritable;
    await this.#counted;
    await attempt(() => this.assertHeld());
  }

  /** Publishes what was committed, closes it, and lets another process have the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    using held = new DisposableStack();
    held.use(this.root);
    held.use(this.#state);
    held.use(this.#areas);
    held.use(this.cache);
    this.#closing.abort(new FerryError("closed", "the storage is being closed"));
    await this.#counted?.catch(() => {});
    await this.publisher.settle();
  }
}

/** The device on which an inode number stands for one file, now and later. */
function numberedDevice({ directory }: Root, { numbersFiles }: FileSystem): number | undefined {
  return numbersFiles ? directory.device : undefined;
}

/** What is known of the file system of a root where nothing can be tried. */
function untried({ path, directory }: Root): FileSystem {
  const known = fileSystemAt(path);
  return { ...known, heldDirectories: known.heldDirectories && directory.pinned };
}

/** Counts all files in a root. */
async function countFiles(
  quota: Quota,
  root: Root,
  options: { signal: AbortSignal; merges: MergeQueue },
): Promise<void> {
  try {
    await eachBelow(root.directory, {
      peek: (directory, name) => {
        try {
          return root.peek(directory, name);
        } catch {
          // The state directory.
          return undefined;
        }
      },
      onFound: (info) => quota.found(info),
      ...options,
    });
  } catch (error) {
    throw fileError(error).during("count what the quota has to count");
  }
}

/** Runs file system calls, and gives their errors the codes of {@linkcode FerryError}. */
// deno-lint-ignore require-await -- what it runs may throw at once
export async function attempt<T>(run: () => T): Promise<T> {
  try {
    return run();
  } catch (error) {
    throw fileError(error);
  }
}
