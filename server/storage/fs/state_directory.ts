/**
 * The state directory `.ferry` in a root: its contents, and the lock and the lease by which one process owns it, or
 * several processes own it together. Those share the lock; each has a lease and a staging area of its own.
 *
 * @module
 */

import { type Directory, makeDirectory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { tryLock } from "../../../lib/files/file_lock.ts";
import type { FileSystem } from "../../../lib/file_system/file_system.ts";
import { tryFileSystem } from "./file_system_trial.ts";
import { basename } from "../../../lib/core/paths.ts";
import { RESERVED_DIRECTORY, SOCKETS_DIRECTORY } from "../../../lib/core/remote_name.ts";
import type { Root } from "./root.ts";
import { Lease, type LeaseOptions } from "./lease.ts";
import { movePart, readExactly, replaceExactly } from "../../../lib/files/partial_file.ts";
import { renameWithoutReplacing } from "../../../lib/files/renaming.ts";
import { isTreeName } from "./area_trees.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { infoAt, isTaken } from "../../../lib/files/path_lookup.ts";
import {
  assertKnownFormat,
  MAX_VERSION_BYTES,
  OWN_VERSION,
  STATE_FORMAT,
  VERSION_FILE,
} from "../state_version.ts";

/** How often a lock that another process holds is tried again, and after which pauses. */
const LOCK_TRIES = 10;
const LOCK_PAUSE_MS = 100;

/** A file system that has not answered for this long, in milliseconds, is said to be slow. */
const SLOW_MS = 3000;

/** The open files and directories of a process that owns the state directory. */
interface Taken {
  directory: Directory;
  leases: Directory;
  /** The directory that contains the staging areas. */
  areas: Directory;
  staging: Directory;
  fileSystem: FileSystem;
  lease: Lease;
  /** Closes all of them on disposal. */
  held: Disposable;
}

/** The state directory of a root, which this process owns. */
export class StateDirectory implements Disposable {
  readonly #root: Root;
  readonly #together: boolean;
  #taken: Taken;
  /** Called after another program had removed it and it was created again, empty. */
  onRenewed: () => void = () => {};

  private constructor(root: Root, together: boolean, taken: Taken) {
    this.#root = root;
    this.#together = together;
    this.#taken = taken;
  }

  /** The `.ferry` directory. */
  get directory(): Directory {
    return this.#taken.directory;
  }

  /** The subdirectory in which this process stages its uploads. */
  get staging(): Directory {
    return this.#taken.staging;
  }

  /** The directory that contains the staging areas of all processes. */
  get areas(): Directory {
    return this.#taken.areas;
  }

  /** The id of the lease of this process, which is the name of its staging area. */
  get id(): string {
    return this.#taken.lease.id;
  }

  /** The same of the other processes that own the state directory together with this one. */
  get companions(): string[] {
    return this.#taken.lease.companions;
  }

  /** Whether other processes may own it, too. */
  get isShared(): boolean {
    return this.#together;
  }

  /** The path of the socket of this process. */
  get socketPath(): string {
    return this.directory.at(`${basename(SOCKETS_DIRECTORY)}/${socketName(this.id)}`);
  }

  /**
   * Makes the directory in which this process can listen with a socket that only its user may connect to, and removes
   * what processes have left there that were killed.
   *
   * @returns the path of the socket
   */
  prepareSocket(): string {
    return this.inTurn(() => {
      using sockets = makeDirectory(this.directory, basename(SOCKETS_DIRECTORY));
      const others = this.companions.map(socketName);
      for (const { name } of [...Deno.readDirSync(sockets.path)]) {
        if (!others.includes(name)) Deno.removeSync(sockets.at(name));
      }
      return this.socketPath;
    });
  }

  /**
   * Does something that concerns the areas of other processes as well. Where several own the directory, they do that one
   * after the other.
   */
  inTurn<T>(run: () => T): T {
    using _turn = this.#together ? waitForTurn(this.directory) : undefined;
    return run();
  }

  /** What its file system was found to support. */
  get fileSystem(): FileSystem {
    return this.#taken.fileSystem;
  }

  /**
   * Creates the directory and claims it for this process, with the partial uploads of earlier processes. From now on no
   * name leads into it.
   *
   * @returns the state directory; or, if nothing can be written, the error for clients that want to write
   * @throws {FerryError} `busy` if another process owns it, `not_a_file` if it is not a directory, `bad_version` if a
   * newer version of ferry wrote it in another format
   */
  static open(root: Root, options: LeaseOptions = {}): StateDirectory | FerryError {
    try {
      const { together = false } = options;
      return new StateDirectory(root, together, StateDirectory.#take(root, options));
    } catch (error) {
      const unwritable = unwritableFor(error);
      if (!unwritable) throw error;
      return unwritable;
    }
  }

  static #take(root: Root, options: LeaseOptions): Taken {
    const { together = false } = options;
    using held = new DisposableStack();
    const directory = held.use(makeDirectory(root.directory, RESERVED_DIRECTORY));
    root.hide(directory);
    let lock: Deno.FsFile;
    try {
      lock = held.use(openLock(directory));
    } catch (error) {
      // If files can be created but not written to later, the trial throws an error that says so.
      if (fileError(error).code === "denied") tryFileSystem(directory);
      throw error;
    }
    // A process that was killed a moment ago may still hold it.
    for (let tries = 0; !tryLock(lock, { shared: together }); tries++) {
      if (tries === LOCK_TRIES || options.earlier) {
        throw new FerryError(
          "busy",
          together ? "another ferryd serves it without --together" : "another ferryd serves it",
        );
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS);
    }
    using _turn = together ? waitForTurn(directory) : undefined;
    claimVersion(directory);
    if (!together) removeLeftovers(directory);
    const fileSystem = tryFileSystem(directory);
    const leases = held.use(makeDirectory(directory, "leases"));
    const shared = !fileSystem.honestWrites;
    const lease = held.use(Lease.take(leases, { ...options, shared }));
    const areas = held.use(makeDirectory(directory, "staging"));
    const staging = held.use(makeDirectory(areas, lease.id));
    held.defer(() => removeIfEmpty(areas.at(lease.id)));
    const others = [lease.id, ...lease.companions];
    adopt(areas, staging, (name) => others.includes(name));
    return { directory, leases, areas, staging, fileSystem, lease, held: held.move() };
  }

  /**
   * Fails if another process has taken it.
   *
   * @throws {FerryError} `busy`
   */
  assertHeld(): void {
    try {
      this.#taken.lease.assertHeld();
    } catch (error) {
      if (!this.renew()) throw error;
    }
  }

  /** Whether a root, reached through another mount, contains the state directory as this process left it. */
  isLeftIn(root: Directory): boolean {
    using entered = new DisposableStack();
    const enter = (directory: Directory, name: string) => {
      const info = infoAt(directory.at(name));
      const below = info?.isDirectory ? directory.enter(name, info) : undefined;
      return below && entered.use(below);
    };
    const own = enter(root, RESERVED_DIRECTORY);
    const leases = own && enter(own, "leases");
    return leases !== undefined && this.#taken.lease.isIn(leases);
  }

  /**
   * Claims it again through another mount, unless another process owns it.
   *
   * @throws {FerryError} `busy` if another process owns it; `denied`, `no_space`, … if it cannot be written to
   */
  reopen(): void {
    const { lease, held } = this.#taken;
    lease.leave();
    held[Symbol.dispose]();
    this.#taken = StateDirectory.#take(this.#root, {
      earlier: lease,
      together: this.#together,
    });
  }

  /**
   * Creates it again if somebody has removed it.
   *
   * @returns whether it is now another directory, because of that or of a remount
   * @throws {FerryError} `busy` if another process has created it meanwhile; `no_space`, `denied`, …
   */
  renew(): boolean {
    const before = this.#taken;
    this.#root.assertStanding();
    if (this.#taken !== before) return true;
    if (this.#isThere()) return false;
    this.#taken.held[Symbol.dispose]();
    try {
      this.#taken = StateDirectory.#take(this.#root, { together: this.#together });
    } catch (error) {
      throw fileError(error);
    }
    this.onRenewed();
    return true;
  }

  /** Whether it still exists. A process that takes it over removes only the lease and the staging area of this one. */
  #isThere(): boolean {
    const { directory, leases, lease } = this.#taken;
    const above = this.#root.directory;
    return isIn(above, RESERVED_DIRECTORY, directory) && isIn(directory, "leases", leases) &&
      (!isTaken(leases.at(lease.id)) || isTaken(`${directory.at("staging")}/${lease.id}`));
  }

  /** Releases it for other processes. */
  [Symbol.dispose](): void {
    this.#taken.held[Symbol.dispose]();
  }
}

function socketName(lease: string): string {
  return `${lease}.sock`;
}

/**
 * Checks that this version of ferry can work with what is in the directory, and then makes that known to other versions.
 * A loss of power leaves either the version that was there or this one.
 *
 * @throws {FerryError} `bad_version`
 */
function claimVersion(directory: Directory): void {
  const path = directory.at(VERSION_FILE);
  const info = infoAt(path);
  const text = info?.isFile ? readExactly(path, MAX_VERSION_BYTES) : "";
  if (text === OWN_VERSION) return;
  if (info) assertKnownFormat(text, RESERVED_DIRECTORY);
  try {
    replaceExactly(path, new TextEncoder().encode(OWN_VERSION), { durable: true });
  } catch (error) {
    // Without it the state has the oldest format, which it has. A disk that fails is told of at each upload.
    if (STATE_FORMAT > 1) throw error;
  }
}

/** Removes the files that processes were killed at writing before they got their names. */
function removeLeftovers(directory: Directory): void {
  for (const { name, isFile } of [...Deno.readDirSync(directory.path)]) {
    if (isFile && /\.(new|lock)$/.test(name)) Deno.removeSync(directory.at(name));
  }
}

/**
 * Moves the partial uploads and the staged trees of processes that have ended into a staging area, and removes
 * everything else that they left. Ferry 0.1 had no areas: its partial uploads were in the directory that now contains the areas.
 *
 * @param all the directory that contains the areas
 * @param isOthers whether an area belongs to somebody else and is left alone
 */
export function adopt(
  all: Directory,
  staging: Directory,
  isOthers: (name: string) => boolean,
): void {
  const moveFrom = (directory: Directory) => {
    for (const { name } of [...Deno.readDirSync(directory.path)]) {
      if (name.endsWith(".part")) movePart(directory.at(name), staging.path);
      const isTree = isTreeName(name) && !isTaken(staging.at(name));
      if (isTree) Deno.renameSync(directory.at(name), staging.at(name));
    }
  };
  moveFrom(all);
  for (const { name } of [...Deno.readDirSync(all.path)]) {
    if (isOthers(name)) continue;
    const info = Deno.lstatSync(all.at(name));
    if (info.isDirectory) {
      using other = all.enter(name, info);
      if (other) moveFrom(other);
    }
    Deno.removeSync(all.at(name), { recursive: true });
  }
}

/**
 * Waits until the file system of a root answers what {@linkcode StateDirectory.open} asks at first. `open` blocks the
 * process meanwhile, and CephFS answers only when it has given up a machine that had the files open and is gone.
 *
 * @param path the root
 * @param onWaiting called if the answer takes more than some seconds
 */
export async function untilAnswered(path: string, onWaiting: () => void): Promise<void> {
  const timer = setTimeout(onWaiting, SLOW_MS);
  const own = `${path}/${RESERVED_DIRECTORY}`;
  try {
    await Deno.lstat(`${own}/lock`);
    for await (const { name } of Deno.readDir(`${own}/leases`)) {
      await Deno.lstat(`${own}/leases/${name}`);
    }
  } catch {
    // It is no root yet, or cannot be read: `open` reports that.
  }
  clearTimeout(timer);
}

/** Whether a name in a directory leads to the given directory. */
function isIn(above: Directory, name: string, directory: Directory): boolean {
  const info = infoAt(above.at(name));
  return info !== undefined && above.inodeAt(name, info) === directory.inode;
}

function removeIfEmpty(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // The directory is not empty: the next process finds partial uploads in it.
  }
}

/**
 * Waits until no other process that shares the lock takes the directory or looks for what others have left there. They
 * do that in turns, until the result is disposed of.
 */
function waitForTurn(directory: Directory): Deno.FsFile {
  const file = openLock(directory, "turn");
  file.lockSync(true);
  return file;
}

/** Opens a file that is only locked, or creates it. */
function openLock(directory: Directory, name = "lock"): Deno.FsFile {
  const path = directory.at(name);
  if (!isTaken(path)) {
    const created = directory.createFile(".lock");
    created.file.close();
    try {
      renameWithoutReplacing(created.path, path);
    } catch (error) {
      Deno.removeSync(created.path);
      // Another process has just created it.
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  // Over NFS only a file that can be read can be locked together with others.
  return openExactly(path, { read: true, write: true });
}

/**
 * The reason why nothing can be written to a root, if an error means that. A full disk is served all the same, so that
 * clients can remove files from it.
 */
function unwritableFor(error: unknown): FerryError | undefined {
  if (error instanceof Deno.errors.NotCapable) return undefined;
  switch (fileError(error).code) {
    case "denied":
      return error instanceof FerryError
        ? error
        : new FerryError("denied", "the server's directory is read-only");
    case "no_space":
      return new FerryError(
        "no_space",
        "the disk was full when ferryd was started: make room and start it anew",
      );
    default:
      return undefined;
  }
}
