/**
 * From names to paths: the one place that decides where a name leads, and that it stays in the root.
 *
 * Paths are resolved at the moment of use; a link that another program swaps in between the look and
 * the use of a path is not guarded against here.
 *
 * @module
 */

import { FerryError, toFerryError } from "./errors.ts";
import { existsSync } from "./exists.ts";
import { assertStorable, type FileName, parentName, RESERVED_DIRECTORY } from "./file_name.ts";
import { basename, dirname } from "./path.ts";
import { PLATFORM } from "./platform.ts";
import { isDirectory, makeDirectories } from "./staging.ts";

/** A place that a file can take. */
export interface Room {
  /** Its path. */
  path: string;
  /** The directories that got an entry when the directories above it were made. */
  changed: string[];
}

/** A root directory that no name leads out of. */
export class Jail {
  /** The root, with links resolved, and without a slash at its end. */
  readonly root: string;
  /** The path of the root itself. */
  readonly #top: string;
  /** The directory in it that is ferry's own, and that no name leads into. */
  readonly reserved: string;
  /** The directory that a file could be made in when that was last asked: most ask for the same again. */
  #placeable: string | undefined;

  /** A jail around a directory whose links are resolved already. */
  constructor(root: string) {
    this.#top = PLATFORM.slashed(root);
    this.root = this.#top.replace(/\/$/, "");
    this.reserved = `${this.root}/${RESERVED_DIRECTORY}`;
  }

  /**
   * The path of what a name leads to, links followed.
   *
   * @throws {FerryError} `not_found`, also for what a link leads out of the root
   */
  find(name: FileName | ""): string {
    try {
      return this.#confine(realPath(this.#pathOf(name)));
    } catch (error) {
      throw toFerryError(error);
    }
  }

  /**
   * The path of a name itself, whatever stands there; links above it are followed.
   *
   * @throws {FerryError} `not_found` where the directory above it is missing
   */
  place(name: FileName): string {
    return this.placer()(name);
  }

  /**
   * Does what {@linkcode Jail.place} does for many names, and resolves a directory that several of them
   * stand in only once. Like a path, it is for use at once: what is swapped later goes unnoticed.
   */
  placer(): (name: FileName) => string {
    const directories = new Map<string, string | FerryError>();
    return (name) => {
      assertStorable(name);
      const parent = parentName(name);
      let directory = directories.get(parent);
      if (directory === undefined) {
        try {
          directory = this.find(parent);
        } catch (error) {
          directory = toFerryError(error);
        }
        directories.set(parent, directory);
      }
      if (typeof directory !== "string") throw directory;
      // Its directory may be the root by way of a link, and the name then ferry's own.
      return this.#confine(`${directory}/${basename(name)}`);
    };
  }

  /**
   * The path of a name itself, after making the directories above it.
   *
   * @throws {FerryError} `not_a_file` where a part of the name is a file, `denied`, `no_space`
   */
  makeRoomFor(name: FileName): Room {
    return this.roomMaker()(name);
  }

  /**
   * Does what {@linkcode Jail.makeRoomFor} does for many names, and makes and resolves a directory that
   * several of them stand in only once. It is for use at once, as {@linkcode Jail.placer} is.
   */
  roomMaker(): (name: FileName) => Room {
    const place = this.placer();
    const made = new Set<string>();
    return (name) => {
      const parent = parentName(name);
      if (made.has(parent)) return { path: place(name), changed: [] };
      try {
        const path = this.#pathOf(parent);
        let changed: string[] = [];
        // Looking costs a third of what catching an error does.
        if (!existsSync(path) || !isDirectory(path)) {
          this.#confine(nearestReal(path));
          changed = makeDirectories(path);
        }
        const room = { path: place(name), changed };
        made.add(parent);
        return room;
      } catch (error) {
        throw toFerryError(error);
      }
    };
  }

  /** Whether a name leads to anything at all, be it out of the root. */
  isThere(name: FileName | ""): boolean {
    return existsSync(this.#pathOf(name));
  }

  /**
   * Checks that a file could be made under a name, without making anything.
   *
   * @throws {FerryError} `not_a_file` where the name is a directory or a part of it is a file,
   * `not_found` where a link leads out of the root
   */
  assertPlaceable(name: FileName): void {
    try {
      const path = this.#pathOf(name);
      // This only saves bytes that would come in vain: who gives the name to a file looks again.
      const directory = dirname(path);
      if (directory === this.#placeable && !existsSync(path)) return;
      const taken = leadsSomewhere(path);
      // What has the name, or the directory that it would stand in or below.
      const real = nearestReal(taken ? path : directory);
      const nearest = Deno.lstatSync(this.#confine(real));
      if (taken && nearest.isDirectory) throw new FerryError("not_a_file", "it is a directory");
      if (!taken && !nearest.isDirectory) {
        throw new FerryError("not_a_file", "a part of the name is a file");
      }
      this.#placeable = directory;
    } catch (error) {
      throw toFerryError(error);
    }
  }

  #pathOf(name: FileName | ""): string {
    if (name === "") return this.#top;
    assertStorable(name);
    return `${this.root}/${name}`;
  }

  #confine(real: string): string {
    const inside = real === this.#top || real.startsWith(`${this.root}/`);
    if (inside && real !== this.reserved && !real.startsWith(`${this.reserved}/`)) return real;
    throw new FerryError("not_found", "no such file or directory");
  }
}

/** The real path of the longest part of a path that exists. */
function nearestReal(path: string): string {
  try {
    return realPath(path);
  } catch (error) {
    const { code } = toFerryError(error);
    if (code !== "not_found" && code !== "not_a_file" || path === dirname(path)) throw error;
  }
  // Looking costs a tenth of what catching an error does, and most files are new in a directory that is not.
  let part = dirname(path);
  while (!existsSync(part) && part !== dirname(part)) part = dirname(part);
  return realPath(part);
}

/** A path with links resolved. */
function realPath(path: string): string {
  return PLATFORM.slashed(Deno.realPathSync(path));
}

/** Whether a path leads to anything; fails where it cannot lead anywhere, as one that is too long. */
function leadsSomewhere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    const { code } = toFerryError(error);
    if (code === "not_found" || code === "not_a_file") return false;
    throw error;
  }
}
