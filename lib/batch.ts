/**
 * What is done with many names at once.
 *
 * @module
 */

import { Directory } from "./directory.ts";
import { FerryError, toFerryError } from "./errors.ts";
import { type FileName, parentName } from "./file_name.ts";
import type { Jail } from "./jail.ts";
import { basename } from "./path.ts";
import type { Room } from "./staging.ts";

/**
 * Many names: a directory that several of them stand in is walked to only once, and held until this is
 * disposed of.
 */
export class Batch implements Disposable {
  readonly #jail: Jail;
  readonly #directories = new Map<string, Directory | FerryError>();
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
    const directory = this.#above(name, () => this.#jail.enter(parentName(name)));
    const info = this.#jail.peek(directory, basename(name));
    if (!info?.isSymlink) return info;
    using place = this.#jail.look(name);
    return place?.info;
  }

  /**
   * Makes the directories above a name.
   *
   * @throws {FerryError} as {@linkcode Jail.makeParent}
   */
  room(name: FileName): Room {
    const from = this.#made.length;
    const directory = this.#above(name, () => this.#jail.makeParent(name, this.#made));
    return {
      path: this.#jail.pathIn(directory, name),
      directory,
      made: this.#made.slice(from),
    };
  }

  #above(name: FileName, open: () => Directory): Directory {
    const parent = parentName(name);
    let directory = this.#directories.get(parent);
    if (!directory) {
      try {
        directory = open();
      } catch (error) {
        directory = toFerryError(error);
      }
      this.#directories.set(parent, directory);
    }
    if (directory instanceof FerryError) throw directory;
    return directory;
  }

  /** Lets go of the directories. */
  [Symbol.dispose](): void {
    for (const directory of [...this.#directories.values(), ...this.#made]) {
      if (directory instanceof Directory) directory[Symbol.dispose]();
    }
  }
}
