/**
 * What is done with many names at once.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { Directory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import type { Jail } from "./root.ts";
import { basename } from "../../../lib/core/paths.ts";
import type { Room } from "../../../lib/files/group_commit.ts";
import { bitsOf } from "../../../lib/files/permission_bits.ts";

/**
 * Many names: a directory that several of them stand in is walked to only once, and held until this is
 * disposed of.
 */
export class Batch implements Disposable {
  readonly #jail: Jail;
  readonly #directories = new Map<Jail, Map<string, Directory | FerryError>>();
  readonly #made: Directory[] = [];

  /** A batch for a jail. */
  constructor(jail: Jail) {
    this.#jail = jail;
  }

  /**
   * What a name leads to, links followed; undefined where nothing is there.
   *
   * @throws {FerryError} as {@linkcode Jail.find}
   */
  look(name: FileName): Deno.FileInfo | undefined {
    const jail = this.#jail;
    const open = () => jail.enter(parentName(name), basename(name));
    const info = jail.peek(this.#above(name, jail, open), basename(name));
    if (!info?.isSymlink) return info;
    using place = jail.look(name);
    return place?.info;
  }

  /**
   * Makes the directories above a name.
   *
   * @param jail how far this name may lead, where that is less far than the others
   * @throws {FerryError} as {@linkcode Jail.makeParent}
   */
  room(name: FileName, jail = this.#jail): Room & { directory: Directory } {
    const from = this.#made.length;
    const directory = this.#above(name, jail, () => jail.makeParent(name, this.#made));
    return {
      path: jail.pathIn(directory, name),
      directory,
      made: this.#made.slice(from),
    };
  }

  /** The permission bits of the file that a name leads to, links followed; undefined where it leads to none. */
  modeOf(name: FileName, jail = this.#jail): number | undefined {
    const parent = parentName(name);
    try {
      const above = this.#above(name, jail, () => jail.enter(parent, basename(name)));
      if (!existsSync(above.at(basename(name)))) return undefined;
      const info = jail.peek(above, basename(name));
      using place = info?.isSymlink ? jail.look(name) : undefined;
      const there = place?.info ?? info;
      return there?.isFile ? bitsOf(there) : undefined;
    } catch {
      // The directory may be missing and be made for this file; what else is wrong shows then.
      this.#directories.get(jail)?.delete(parent);
      return undefined;
    }
  }

  /** See {@linkcode Jail.assertStanding}. */
  assertStanding(): void {
    this.#jail.assertStanding(this.#held());
  }

  /** The directories that are held for it. */
  *#held(): Iterable<Directory> {
    for (const found of this.#directories.values()) {
      for (const directory of found.values()) if (directory instanceof Directory) yield directory;
    }
    yield* this.#made;
  }

  /** What is known by one jail's answers is known to that one alone. */
  #above(name: FileName, jail: Jail, open: () => Directory): Directory {
    const parent = parentName(name);
    const directories = this.#directories.get(jail) ?? new Map<string, Directory | FerryError>();
    this.#directories.set(jail, directories);
    let directory = directories.get(parent);
    if (!directory) {
      try {
        directory = open();
      } catch (error) {
        directory = fileError(error);
      }
      directories.set(parent, directory);
    }
    if (directory instanceof FerryError) throw directory;
    return directory;
  }

  /** Lets go of the directories. */
  [Symbol.dispose](): void {
    for (const directory of this.#held()) directory[Symbol.dispose]();
  }
}
