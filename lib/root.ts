/**
 * The directory that is served, and whether it is still the one that stands at its path. It may be renamed,
 * unmounted, or something else mounted over it, while it is held open.
 *
 * @module
 */

import { Directory } from "./directory.ts";
import { FerryError, fileError } from "./errors.ts";
import { inodeOf } from "./handles.ts";
import { basename } from "./path.ts";
import { PLATFORM } from "./platform.ts";

/** Told when a root is lost, and when it is back. */
export type OnRoot = (state: "lost" | "back") => void;

/** A directory that is served. */
export class Root implements Disposable {
  /** It, held open. */
  readonly directory: Directory;
  /** Its path, with links resolved. */
  readonly path: string;
  /** Where the system said that it stood when it was opened. */
  readonly #place: string | undefined;
  readonly #inode: string;
  readonly #taken: Directory[] = [];
  readonly #tell: OnRoot | undefined;
  #lost = false;

  /**
   * Opens a root.
   *
   * @throws what the runtime throws
   */
  constructor(path: string, tell?: OnRoot) {
    this.path = PLATFORM.slashed(Deno.realPathSync(path));
    this.#inode = inodeOf(Deno.statSync(this.path));
    this.directory = Directory.open(this.path);
    this.#place = this.directory.place;
    this.#tell = tell;
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
   * mount of its file system, all goes on.
   *
   * @throws {FerryError} `io`
   */
  assertStanding(): void {
    const lost = !this.#stands();
    if (lost !== this.#lost) {
      this.#lost = lost;
      this.#tell?.(lost ? "lost" : "back");
    }
    if (!lost) return;
    throw new FerryError(
      "io",
      "the server's directory is not where it was: it was renamed, removed or unmounted. " +
        "The server goes on when it is back; for another one in its place, start the server anew",
    );
  }

  #stands(): boolean {
    try {
      if (inodeOf(Deno.statSync(this.path)) !== this.#inode) return false;
    } catch (error) {
      const failure = fileError(error);
      // A limit of this process says nothing of the directory.
      if (failure.code === "busy") throw failure;
      // Whatever else it is: who cannot get there by the path would not find what is put there.
      return false;
    }
    let { place } = this.directory;
    // Somebody has cleared the temporary files away.
    if (place === undefined && this.directory.mend()) place = this.directory.place;
    return place === this.#place || this.#isMountedAnew();
  }

  /** Whether what stands at the path is the same directory by another mount: nothing else shows what is made in it. */
  #isMountedAnew(): boolean {
    const same = this.#taken.some((own) => own.showsAt(`${this.path}/${basename(own.found)}`));
    if (same) this.directory.openAgain();
    return same;
  }

  /** Lets go of it. */
  [Symbol.dispose](): void {
    for (const own of this.#taken) own[Symbol.dispose]();
    this.directory.close();
  }
}
