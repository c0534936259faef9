/**
 * Ferry's own directory in a root: that one process has it, and what is in it.
 *
 * @module
 */

import type { Directory } from "./directory.ts";
import { FerryError, toFerryError } from "./errors.ts";
import { tryLock } from "./file_lock.ts";
import { RESERVED_DIRECTORY } from "./file_name.ts";
import type { Jail } from "./jail.ts";
import { isTaken, openExactly, renameWithoutReplacing } from "./staging.ts";

/** How often a directory that another process has is asked for again, and after which pauses. */
const LOCK_TRIES = 10;
const LOCK_PAUSE_MS = 100;

/** Ferry's own directory in a root, which this process has. */
export class OwnDirectory implements Disposable {
  /** It. */
  readonly directory: Directory;
  /** The directory in it for what is being written. */
  readonly staging: Directory;
  /** What holds the claim to it until it is closed. */
  readonly #lock: Deno.FsFile;

  private constructor(directory: Directory, staging: Directory, lock: Deno.FsFile) {
    this.directory = directory;
    this.staging = staging;
    this.#lock = lock;
  }

  /**
   * Makes the directory and claims it for this process. No name leads into it from now on.
   *
   * @returns undefined where nothing can be written
   * @throws {FerryError} `busy` where another process has it, `not_a_file` where it is no directory
   */
  static takeOver(jail: Jail): OwnDirectory | undefined {
    let directory: Directory;
    try {
      directory = makeDirectory(jail.directory, RESERVED_DIRECTORY);
    } catch (error) {
      if (isDenied(error)) return undefined;
      throw error;
    }
    jail.hide(directory);
    let lock: Deno.FsFile | undefined;
    try {
      lock = openLock(directory);
      // One that was killed a moment ago may still be on its way out.
      for (let tries = 0; !tryLock(lock); tries++) {
        if (tries === LOCK_TRIES) throw new FerryError("busy", "another ferryd serves it");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS);
      }
      return new OwnDirectory(directory, makeDirectory(directory, "staging"), lock);
    } catch (error) {
      lock?.close();
      directory[Symbol.dispose]();
      if (!lock && isDenied(error)) return undefined;
      throw error;
    }
  }

  /** Lets another process have it. */
  [Symbol.dispose](): void {
    this.#lock.close();
    this.staging[Symbol.dispose]();
    this.directory[Symbol.dispose]();
  }
}

/** Opens a directory for this user alone in another one, or makes it. */
function makeDirectory(directory: Directory, name: string): Directory {
  const path = directory.at(name);
  if (!isTaken(path)) Deno.mkdirSync(path, { mode: 0o700 });
  // Whatever a link led to would be emptied.
  const info = Deno.lstatSync(path);
  const made = info.isDirectory ? directory.enter(name, info) : undefined;
  if (made) return made;
  throw new FerryError("not_a_file", `${name} in it is not a directory`);
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

/** Whether the file system does not allow something, and not the runtime. */
function isDenied(error: unknown): boolean {
  return toFerryError(error).code === "denied" && !(error instanceof Deno.errors.NotCapable);
}
