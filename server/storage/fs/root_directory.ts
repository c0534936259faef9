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

/** What may have become of a root of which no more is known. */
const MOVED = "it was renamed, removed or unmounted";

/** Told when a root is lost, and when it is back. */
export type OnRoot = (state: "lost" | "back") => void;

/** Who knows a root by what it keeps there. */
export interface Keeper {
  /** Whether a directory is the root by another mount, as it left it. */
  recognises(directory: Directory): boolean;
  /**
   * Takes up all anew that it has there.
   *
   * @throws {FerryError} what keeps it from that
   */
  takeUp(): void;
}

/** A directory that is served. */
export class Root implements Disposable {
  #directory: Directory;
  /** Its path, with links resolved. */
  readonly path: string;
  /** Where the system said that it stood when it was opened. */
  #place: string | undefined;
  #inode: string;
  #taken: Directory[] = [];
  readonly #tell: OnRoot | undefined;
  #lost = false;
  /** Why it does not stand. */
  #why = MOVED;
  #takingUp = false;
  /** Who takes it up where it was mounted anew and has other numbers since then. Default: nobody. */
  keeper: Keeper | undefined;

  /**
   * Opens a root.
   *
   * @throws what the runtime throws
   */
  constructor(path: string, tell?: OnRoot) {
    this.path = PLATFORM.slashed(Deno.realPathSync(path));
    this.#inode = inodeOf(Deno.statSync(this.path));
    this.#directory = Directory.open(this.path);
    this.#place = this.directory.place;
    this.#tell = tell;
  }

  /** It, held open. */
  get directory(): Directory {
    return this.#directory;
  }

  /** Takes a directory in it for our own. */
  take(directory: Directory): void {
    this.#taken.push(directory.hold());
  }

  /** The directories of our own, which no name leads into. */
  get own(): readonly Directory[] {
    const { own } = this.directory;
    return own ? [...this.#taken, own] : this.#taken;
  }

  /**
   * Fails where another directory stands at the path by now, or none. Where the same one is back, also by a new
   * mount of its file system, all goes on; but not what began by the old mount in the `used` directories.
   *
   * @throws {FerryError} `io`; `busy` for what began before it was mounted anew
   */
  assertStanding(used: Iterable<Directory> = []): void {
    // Whoever takes it up acts on what is to be taken up.
    if (this.#takingUp) return;
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
      if (inodeOf(Deno.statSync(this.path)) !== this.#inode) return this.#takeUp();
    } catch (error) {
      const failure = fileError(error);
      // A limit of this process says nothing of the directory.
      if (failure.code === "busy") throw failure;
      // Whatever else it is: who cannot get there by the path would not find what is put there.
      this.#why = failure.code === "io" ? failure.reason : MOVED;
      return false;
    }
    let { place } = this.directory;
    // Somebody has cleared the temporary files away.
    if (place === undefined && this.directory.mend()) place = this.directory.place;
    return place === this.#place || this.#isMountedAnew() || this.#takeUp();
  }

  /** Whether what stands at the path is the same directory by another mount: nothing else shows what is made in it. */
  #isMountedAnew(): boolean {
    const same = this.#taken.some((own) => own.showsAt(`${this.path}/${basename(own.found)}`));
    if (same) this.directory.openAgain();
    return same;
  }

  /** Takes up what stands at the path where that is the same directory by a mount with other numbers. */
  #takeUp(): boolean {
    this.#why = MOVED;
    const { keeper } = this;
    let opened: Directory | undefined;
    try {
      opened = this.directory.atItsPath();
      // On the same file system it is another directory, be it a copy of this one.
      if (!keeper || !opened || opened.device === deviceIn(this.#inode)) return false;
      if (!keeper.recognises(opened)) return false;
      this.directory.leave();
      for (const own of this.#taken) own[Symbol.dispose]();
      this.#taken = [];
      this.#directory = opened;
      opened = undefined;
      this.#takingUp = true;
      keeper.takeUp();
      this.#inode = this.directory.inode;
      this.#place = this.directory.place;
      // Nobody may have asked for anything in between.
      if (!this.#lost) this.#tell?.("lost");
      this.#lost = true;
      return true;
    } catch (error) {
      this.#why = `it was mounted anew and cannot be served: ${fileError(error).reason}`;
      return false;
    } finally {
      this.#takingUp = false;
      opened?.end();
    }
  }

  /** Lets go of it. */
  [Symbol.dispose](): void {
    for (const own of this.#taken) own[Symbol.dispose]();
    this.directory.close();
  }
}

/** What began before the root was mounted anew, and may have gone with that mount, comes to this. */
export function mountedAnew(): FerryError {
  return new FerryError("busy", "the server's directory was mounted anew meanwhile");
}
