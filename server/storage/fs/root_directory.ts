/**
 * The directory that is served, and whether it is still the one that stands at its path. It may be renamed,
 * unmounted, or something else mounted over it, while it is held open.
 *
 * @module
 */

import { Directory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { deviceIn, inodeOf } from "../../../lib/core/file_identity.ts";
import { basename } from "../../../lib/core/paths.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";

/** What may have happened to a root where nothing more is known. */
const MOVED = "it was renamed, removed or unmounted";

/** Told when a root is lost, and when it is back. */
export type OnRoot = (state: "lost" | "back") => void;

/** Knows a root by what it keeps there, and opens that again where the root was mounted again. */
export interface RemountHandler {
  /** Whether a directory is the root by another mount, as this process left it. */
  recognises(directory: Directory): boolean;
  /**
   * Opens everything again.
   *
   * @throws {FerryError} what keeps it from that
   */
  reopen(): void;
}

/** A directory that is served. */
export class RootDirectory implements Disposable {
  #directory: Directory;
  /** Its path, with links resolved. */
  readonly path: string;
  /** Where the system said that it was when it was opened. */
  #place: string | undefined;
  #inode: string;
  #hidden: Directory[] = [];
  readonly #tell: OnRoot | undefined;
  #lost = false;
  /** Why it is lost. */
  #why = MOVED;
  #reopening = false;
  /** Asked where it was mounted again and has another device number since then. Default: undefined, it stays lost. */
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
   * @param tell told when it is lost, and when it is back
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
   * Fails where another directory, or none, stands at the path by now. Where the same one is back, also by a new mount
   * of its file system, everything goes on, except operations that began by the old mount in the `used` directories.
   *
   * @throws {FerryError} `io`; `busy` for what began before a remount
   */
  assertStanding(used: Iterable<Directory> = []): void {
    // The remount handler works on what is being opened.
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
      // A limit of this process says nothing about the directory.
      if (failure.code === "busy") throw failure;
      // Whatever the reason: what is stored here could not be found by the path.
      this.#why = failure.code === "io" ? failure.reason : MOVED;
      return false;
    }
    let { place } = this.directory;
    // Another program may have removed the link to descriptors.
    if (place === undefined && this.directory.mend()) place = this.directory.place;
    return place === this.#place || this.#isMountedAnew() || this.#reopen();
  }

  /** Whether the same directory stands at the path by another mount: only then what is made in one shows in the other. */
  #isMountedAnew(): boolean {
    const same = this.#hidden.some((own) => own.showsAt(`${this.path}/${basename(own.found)}`));
    if (same) this.directory.openAgain();
    return same;
  }

  /** Opens what stands at the path where that is the same directory by a mount with another device number. */
  #reopen(): boolean {
    this.#why = MOVED;
    const { remountHandler } = this;
    let opened: Directory | undefined;
    try {
      opened = this.directory.atItsPath();
      // On the same file system it is another directory, which may be a copy of this one.
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
      // The loss may not have been noticed.
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

/** The error for what began before a remount and may be lost with the old mount. */
export function mountedAnew(): FerryError {
  return new FerryError("busy", "the server's directory was mounted anew meanwhile");
}
