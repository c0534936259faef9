/**
 * Removes a directory with all its contents. It uses little memory, and gives other requests a turn.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { FerryError, fileError, quote } from "../../../lib/core/errors.ts";
import { type FileName, isRemovedName, mayBeNoText } from "../../../lib/core/remote_name.ts";
import { basename } from "../../../lib/core/paths.ts";
import { Pace } from "../../../lib/core/time_slices.ts";
import type { MergeQueue } from "./sorted_names.ts";
import { TreeWalk } from "./tree_walk.ts";

/** How many names are processed at a time. */
const TAKEN_AT_ONCE = 64;

/** How often the removal of an entry is tried that other programs replace or fill again meanwhile. */
const TRIES = 5;

/** Options of {@linkcode removeTree}. */
export interface RemoveTreeOptions {
  /**
   * Looks at an entry of a directory without following links; undefined if it does not exist.
   *
   * @throws {FerryError} `not_found` for an entry that must not be removed
   */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined;
  /** Called for each file of which a name was removed. */
  onRemoved(info: Deno.FileInfo): void;
  /** Moves away an entry that cannot be removed while a program has it open. Default: undefined, it stays. */
  setAside?(directory: Directory, name: string): void;
  /** Ends the removal with the signal's abort reason. */
  signal: AbortSignal;
  /** Serialises the sorting of large directories with that of other walks. Default: a new queue, not shared. */
  merges?: MergeQueue | undefined;
}

/**
 * Removes a directory tree. Links in it are removed, not followed. Entries that another program removes meanwhile are
 * no error. Entries that cannot be removed stay, with their parent directories; everything else is removed.
 *
 * @param directory its parent directory
 * @param name its full name
 * @throws {FerryError} why the first of the entries that stay was not removed, with its name
 */
export async function removeTree(
  directory: Directory,
  name: FileName,
  options: RemoveTreeOptions,
): Promise<void> {
  const { signal, merges } = options;
  using walk = await TreeWalk.begin(directory, { only: basename(name), signal, merges });
  await new TreeRemoval(walk, name, options).run();
}

/** A directory whose contents are being removed. */
interface Level {
  name: string;
  /** How often its removal was started. */
  tries: number;
  /** Whether it contains an entry that no path leads to: the name is not UTF-8, or the path would be too long. */
  unreachable: boolean;
  /** Whether an entry in it could not be removed. */
  stays: boolean;
}

class TreeRemoval {
  readonly #walk: TreeWalk;
  readonly #name: FileName;
  readonly #options: RemoveTreeOptions;
  readonly #levels: Level[] = [{ name: "", tries: 0, unreachable: false, stays: false }];
  #failure: FerryError | undefined;

  constructor(walk: TreeWalk, name: FileName, options: RemoveTreeOptions) {
    this.#walk = walk;
    this.#name = name;
    this.#options = options;
  }

  get #level(): Level {
    return this.#levels.at(-1)!;
  }

  async run(): Promise<void> {
    const walk = this.#walk;
    const pace = new Pace();
    for (;;) {
      const here = await walk.here();
      const children = here ? await walk.take(TAKEN_AT_ONCE) : [];
      if (here && children.length > 0) {
        const files = this.#removeFiles(here, children);
        const [child, ...others] = children.slice(files);
        await walk.putBack(walk.depth, others);
        if (child !== undefined) await this.#remove(here, child);
      } else if (this.#levels.length > 1) await this.#removeEmptied();
      else break;
      if (pace.isDue) await pace.rest();
    }
    if (this.#failure) throw this.#failure;
  }

  /**
   * Removes files one after the other, up to the first entry that is not a file or cannot be removed directly. Returns
   * how many were removed.
   */
  #removeFiles(here: Directory, children: readonly string[]): number {
    const { peek, onRemoved } = this.#options;
    for (const [at, child] of children.entries()) {
      try {
        const info = peek(here, child);
        if (!info || info.isDirectory || this.#isInTheWay(child)) return at;
        Deno.removeSync(here.at(child));
        if (info.isFile) onRemoved(info);
      } catch {
        return at;
      }
    }
    return children.length;
  }

  /** Whether a file that was removed is still there and keeps its directory from being removed. */
  #isInTheWay(child: string): boolean {
    return this.#level.tries > 0 && isRemovedName(child);
  }

  /** Removes an entry of the current directory, or enters it if it is a directory that is not empty. */
  async #remove(here: Directory, child: string, begun = 0): Promise<void> {
    const { peek, onRemoved } = this.#options;
    for (let tries = begun; tries < TRIES; tries++) {
      try {
        const info = peek(here, child);
        if (!info) {
          if (mayBeNoText(child)) this.#level.unreachable = true;
          return;
        }
        if (!info.isDirectory) {
          if (this.#isInTheWay(child)) return this.#options.setAside?.(here, child);
          Deno.removeSync(here.at(child));
          if (info.isFile) onRemoved(info);
          return;
        }
        if (!await this.#walk.enter(child, info)) continue;
        this.#levels.push({ name: child, tries, unreachable: false, stays: false });
        return;
      } catch (reason) {
        this.#options.signal.throwIfAborted();
        const error = fileError(reason);
        if (reason instanceof FerryError && error.code === "not_found") {
          return this.#leave(child, new FerryError("denied", "the server needs it"));
        }
        // It is gone or has become a directory; or it is a directory that cannot be read and may be empty. Try again.
        if (error.code === "not_found" || error.code === "exists") continue;
        if (error.code === "bad_name") {
          this.#level.unreachable = true;
          return;
        }
        if (error.code === "denied" && removedEmpty(here, child)) return;
        return this.#leave(child, error);
      }
    }
    this.#leave(child, new FerryError("busy", "another program keeps changing it"));
  }

  /** Removes the current directory, whose contents were removed. */
  async #removeEmptied(): Promise<void> {
    const { name, tries, unreachable, stays } = this.#levels.pop()!;
    this.#walk.leave();
    const here = await this.#walk.here();
    if (stays) this.#level.stays = true;
    if (stays || !here) return;
    try {
      // Everything that a path leads to is gone. The rest can only be removed by the runtime, which does not follow
      // links either.
      Deno.removeSync(here.at(name), { recursive: unreachable });
    } catch (reason) {
      const error = fileError(reason);
      if (error.code === "not_found") return;
      // Another program has put something into it meanwhile.
      if (error.code === "exists" && tries + 1 < TRIES) await this.#remove(here, name, tries + 1);
      else this.#leave(name, error);
    }
  }

  /** Records that an entry stays. */
  #leave(child: string, error: FerryError): void {
    this.#level.stays = true;
    const path = [...this.#walk.names, child].slice(1).join("/");
    const reason = path === ""
      ? error.reason
      : `${quote(`${this.#name}/${path}`)} stays: ${error.reason}`;
    this.#failure ??= new FerryError(error.code, reason, { cause: error });
  }
}

/** Removes a directory if it is empty. Returns whether it was removed. */
function removedEmpty(directory: Directory, name: string): boolean {
  try {
    const { isDirectory } = Deno.lstatSync(directory.at(name));
    if (isDirectory) Deno.removeSync(directory.at(name));
    return isDirectory;
  } catch {
    return false;
  }
}
