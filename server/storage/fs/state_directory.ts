/**
 * The state directory `.ferry` in a root: the lock and the lease by which one process has it, and what is in it.
 *
 * @module
 */

import { type Directory, makeDirectory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { tryLock } from "../../../lib/files/file_lock.ts";
import type { FileSystem } from "../../../lib/file_system/file_system.ts";
import { tryFileSystem } from "./file_system_trial.ts";
import { RESERVED_DIRECTORY } from "../../../lib/core/remote_name.ts";
import type { Root } from "./root.ts";
import { Lease, type LeaseOptions } from "./lease.ts";
import { movePart } from "../../../lib/files/partial_file.ts";
import { renameWithoutReplacing } from "../../../lib/files/renaming.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { infoAt, isTaken } from "../../../lib/files/path_lookup.ts";

/** How often the lock of another process is tried again, and after which pauses. */
const LOCK_TRIES = 10;
const LOCK_PAUSE_MS = 100;

/** The open files and directories of a process that has it. */
interface Taken {
  directory: Directory;
  leases: Directory;
  staging: Directory;
  fileSystem: FileSystem;
  lease: Lease;
  /** Closes all of them when it is disposed of. */
  held: Disposable;
}

/** The state directory of a root, which this process has. */
export class StateDirectory implements Disposable {
  readonly #root: Root;
  #taken: Taken;
  /** Called when another program had removed it, and it was made again with nothing in it. */
  onRenewed: () => void = () => {};

  private constructor(root: Root, taken: Taken) {
    this.#root = root;
    this.#taken = taken;
  }

  /** The `.ferry` directory. */
  get directory(): Directory {
    return this.#taken.directory;
  }

  /** The directory in it that this process stages its uploads in. */
  get staging(): Directory {
    return this.#taken.staging;
  }

  /** What its file system was seen to keep. */
  get fileSystem(): FileSystem {
    return this.#taken.fileSystem;
  }

  /**
   * Makes the directory and claims it for this process, with the partial uploads of earlier processes. No name leads
   * into it from now on.
   *
   * @returns where nothing can be written, the error for clients that want to write
   * @throws {FerryError} `busy` where another process has it, `not_a_file` where it is no directory
   */
  static open(root: Root, options: LeaseOptions = {}): StateDirectory | FerryError {
    try {
      return new StateDirectory(root, StateDirectory.#take(root, options));
    } catch (error) {
      const unwritable = unwritableFor(error);
      if (!unwritable) throw error;
      return unwritable;
    }
  }

  static #take(root: Root, options: LeaseOptions): Taken {
    using held = new DisposableStack();
    const directory = held.use(makeDirectory(root.directory, RESERVED_DIRECTORY));
    root.hide(directory);
    let lock: Deno.FsFile;
    try {
      lock = held.use(openLock(directory));
    } catch (error) {
      // Where files can be made and not be written to later, the trial says so.
      if (fileError(error).code === "denied") tryFileSystem(directory);
      throw error;
    }
    // A process that was killed a moment ago may still hold it.
    for (let tries = 0; !tryLock(lock); tries++) {
      if (tries === LOCK_TRIES || options.earlier) {
        throw new FerryError("busy", "another ferryd serves it");
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS);
    }
    const fileSystem = tryFileSystem(directory);
    const leases = held.use(makeDirectory(directory, "leases"));
    const lease = held.use(Lease.take(leases, options));
    const all = held.use(makeDirectory(directory, "staging"));
    const staging = held.use(makeDirectory(all, lease.id));
    held.defer(() => removeIfEmpty(all.at(lease.id)));
    adopt(all, staging, (name) => name === lease.id);
    return { directory, leases, staging, fileSystem, lease, held: held.move() };
  }

  /**
   * Fails where another process has it by now.
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

  /** Whether it stands in a directory, by another mount, as this process left it. */
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
   * Claims it again by another mount, where nobody else has it.
   *
   * @throws {FerryError} `busy` where another process has it; `denied`, `no_space`, … where it cannot be written to
   */
  reopen(): void {
    const { lease, held } = this.#taken;
    lease.leave();
    held[Symbol.dispose]();
    this.#taken = StateDirectory.#take(this.#root, { earlier: lease });
  }

  /**
   * Makes it again where somebody has removed it.
   *
   * @returns whether it is another directory by now, because of that or of a remount
   * @throws {FerryError} `busy` where another process has made it meanwhile; `no_space`, `denied`, …
   */
  renew(): boolean {
    const before = this.#taken;
    this.#root.assertStanding();
    if (this.#taken !== before) return true;
    if (this.#isThere()) return false;
    this.#taken.held[Symbol.dispose]();
    try {
      this.#taken = StateDirectory.#take(this.#root, {});
    } catch (error) {
      throw fileError(error);
    }
    this.onRenewed();
    return true;
  }

  /** Whether it is still there. A process that takes it over removes no more of it than the lease and its area. */
  #isThere(): boolean {
    const { directory, leases, lease } = this.#taken;
    const above = this.#root.directory;
    return isIn(above, RESERVED_DIRECTORY, directory) && isIn(directory, "leases", leases) &&
      (!isTaken(leases.at(lease.id)) || isTaken(`${directory.at("staging")}/${lease.id}`));
  }

  /** Lets another process have it. */
  [Symbol.dispose](): void {
    this.#taken.held[Symbol.dispose]();
  }
}

/**
 * Moves the partial uploads of processes that have ended into a staging area, and removes what else they left. Ferry
 * 0.1 had no areas: its partial uploads stood where the areas are now.
 *
 * @param all the directory of the areas
 * @param isOthers which of them stay as they are
 */
export function adopt(
  all: Directory,
  staging: Directory,
  isOthers: (name: string) => boolean,
): void {
  const moveFrom = (directory: Directory) => {
    for (const { name } of [...Deno.readDirSync(directory.path)]) {
      if (name.endsWith(".part")) movePart(directory.at(name), staging.path);
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

/** Whether a directory stands under a name in another one. */
function isIn(above: Directory, name: string, directory: Directory): boolean {
  const info = infoAt(above.at(name));
  return info !== undefined && above.inodeAt(name, info) === directory.inode;
}

function removeIfEmpty(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // The next process finds partial uploads in it.
  }
}

/** Opens the file whose lock is the claim, or makes it. */
function openLock(directory: Directory): Deno.FsFile {
  const path = directory.at("lock");
  if (!isTaken(path)) {
    const created = directory.createFile(".lock");
    created.file.close();
    try {
      renameWithoutReplacing(created.path, path);
    } catch (error) {
      Deno.removeSync(created.path);
      // Another process was quicker.
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  return openExactly(path, { write: true });
}

/**
 * Why nothing can be written to a root, where an error says that. A disk that is full is served all the same: how
 * else could room be made on it?
 */
function unwritableFor(error: unknown): FerryError | undefined {
  if (error instanceof Deno.errors.NotCapable) return undefined;
  switch (fileError(error).code) {
    case "denied":
      return new FerryError("denied", "the server's directory is read-only");
    case "no_space":
      return new FerryError(
        "no_space",
        "the disk was full when ferryd was started: make room and start it anew",
      );
    default:
      return undefined;
  }
}
