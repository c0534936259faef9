/**
 * The served directory, and whether it is still the one at its path. While it is held open it may be renamed or
 * unmounted, or something else may be mounted over it.
 *
 * @module
 */

import { Directory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { deviceIn, inodeOf } from "../../../lib/core/file_identity.ts";
import { basename } from "../../../lib/core/paths.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";

/** The reason for the loss of a root if nothing more is known. */
const MOVED = "it was renamed, removed or unmounted";

/** Called when a root is lost, and when it is back. */
export type OnRoot = (state: "lost" | "back") => void;

/** Recognises a root by its state directory after a remount, and reopens what is kept there. */
export interface RemountHandler {
  /** Whether a directory is the root, reached through another mount, as this process left it. */
  recognises(directory: Directory): boolean;
  /**
   * Reopens everything.
   *
   * @throws {FerryError} why it cannot be reopened
   */
  reopen(): void;
}

/** A directory that is served. */
export class RootDirectory implements Disposable {
  #directory: Directory;
  /** Its path, with links resolved. */
  readonly path: string;
  /** The path that the system reported for it when it was opened. */
  #place: string | undefined;
  #inode: string;
  #hidden: Directory[] = [];
  readonly #tell: OnRoot | undefined;
  #lost = false;
  /** Why the directory is lost, as a clause for the error message. */
  #why = MOVED;
  #reopening = false;
  /** Asked when the directory was mounted again with another device number. Default: undefined, it stays lost. */
  remountHandler: RemountHandler | undefined;

  private constructor(path: string, inode: string, directory: Directory, tell?: OnRoot) {
    this.path = path;
    this.#inode = inode;
    this.#directory = directory;
    this.#place = directory.place;
    this.#tell = tell;
  }

  /**
   * Opens a directory by its path.
   *
   * @param tell called when it is lost, and when it is back
   * @throws what the runtime throws
   */
  static open(path: string, tell?: OnRoot): RootDirectory {
    const resolved = PLATFORM.slashed(Deno.realPathSync(path));
    const inode = inodeOf(Deno.statSync(resolved));
    return new RootDirectory(resolved, inode, Directory.open(resolved), tell);
  }

  /** The directory, held open. */
  get directory(): Directory {
    return this.#directory;
  }

  /** Makes all names that lead into a directory lead nowhere. */
  hide(directory: Directory): void {
    this.#hidden.push(directory.hold());
  }

  /** The directories that no name leads into. */
  get hidden(): readonly Directory[] {
    const { own } = this.directory;
    return own ? [...this.#hidden, own] : this.#hidden;
  }

  /**
   * Fails if the path now leads to another directory or to none. When the same directory is back, possibly through a
   * new mount of its file system, everything continues, except operations that were started through the old mount in
   * the `used` directories.
   *
   * @throws {FerryError} `io`; `busy` for an operation that was started before a remount
   */
  assertStanding(used: Iterable<Directory> = []): void {
    // The remount handler itself uses the root while it is being reopened.
    if (this.#reopening) return;
    const lost = !this.#stands();
    if (lost !== this.#lost) {
      this.#lost = lost;
      this.#tell?.(lost ? "lost" : "back");
    }
    if (!lost) {
      for (const directory of used) if (!directory.isBelow(this.directory)) throw mountedAnew();
      return;
    }
    throw new FerryError(
      "io",
      `the server's directory is not where it was: ${this.#why}. ` +
        "The server goes on when it is back; for another one in its place, start the server anew",
    );
  }

  #stands(): boolean {
    try {
      if (inodeOf(Deno.statSync(this.path)) !== this.#inode) return this.#reopen();
    } catch (error) {
      const failure = fileError(error);
      // A limit of this process, such as too many open files, says nothing about the directory.
      if (failure.code === "busy") throw failure;
      // Whatever the reason, files stored in the open directory could not be found by its path.
      this.#why = failure.code === "io" ? failure.reason : MOVED;
      return false;
    }
    let { place } = this.directory;
    // Another program may have removed the link to descriptors.
    if (place === undefined && this.directory.mend()) place = this.directory.place;
    return place === this.#place || this.#isMountedAnew() || this.#reopen();
  }

  /**
   * Whether the same directory is at the path through another mount: only then is a file created in one visible in the
   * other.
   */
  #isMountedAnew(): boolean {
    const same = this.#hidden.some((own) => own.showsAt(`${this.path}/${basename(own.found)}`));
    if (same) this.directory.openAgain();
    return same;
  }

  /** Reopens the directory at the path if it is the same one through a mount with another device number. */
  #reopen(): boolean {
    this.#why = MOVED;
    const { remountHandler } = this;
    let opened: Directory | undefined;
    try {
      opened = this.directory.atItsPath();
      // With the same device number it is another directory, perhaps a copy of this one.
      if (!remountHandler || !opened || opened.device === deviceIn(this.#inode)) return false;
      if (!remountHandler.recognises(opened)) return false;
      this.directory.leave();
      for (const own of this.#hidden) own[Symbol.dispose]();
      this.#hidden = [];
      this.#directory = opened;
      opened = undefined;
      this.#reopening = true;
      remountHandler.reopen();
      this.#inode = this.directory.inode;
      this.#place = this.directory.place;
      // Report the loss if it was not noticed before.
      if (!this.#lost) this.#tell?.("lost");
      this.#lost = true;
      return true;
    } catch (error) {
      this.#why = `it was mounted anew and cannot be served: ${fileError(error).reason}`;
      return false;
    } finally {
      this.#reopening = false;
      opened?.end();
    }
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    for (const own of this.#hidden) own[Symbol.dispose]();
    this.directory.close();
  }
}

/** The error for an operation that was started before a remount: what it wrote may be lost with the old mount. */
export function mountedAnew(): FerryError {
  return new FerryError("busy", "the server's directory was mounted anew meanwhile");
}
