/**
 * The parent directories of names, for operations on many names: each directory is resolved once.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { Directory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import type { Root } from "./root.ts";
import { basename } from "../../../lib/core/paths.ts";
import type { Room } from "../../../lib/files/group_commit.ts";
import { bitsOf } from "../../../lib/files/permission_bits.ts";

/** The parent directories of names. Each is resolved once, and held open until this is disposed of. */
export class ParentDirectories implements Disposable {
  readonly #root: Root;
  readonly #directories = new Map<Root, Map<string, Directory | FerryError>>();
  readonly #made: Directory[] = [];

  /** Creates an empty set. */
  constructor(root: Root) {
    this.#root = root;
  }

  /**
   * The attributes of the entry that a name leads to, following links; undefined if it does not exist.
   *
   * @throws {FerryError} as {@linkcode Root.find}
   */
  look(name: FileName): Deno.FileInfo | undefined {
    const root = this.#root;
    const open = () => root.enter(parentName(name), basename(name));
    const info = root.peek(this.#above(name, root, open), basename(name));
    if (!info?.isSymlink) return info;
    using place = root.look(name);
    return place?.info;
  }

  /**
   * Creates the missing parent directories of a name.
   *
   * @param root the root, confined to where this name may lead. Default: the root given to the constructor.
   * @throws {FerryError} as {@linkcode Root.makeParent}
   */
  room(name: FileName, root = this.#root): Room & { directory: Directory } {
    const from = this.#made.length;
    const directory = this.#above(name, root, () => root.makeParent(name, this.#made));
    return {
      path: root.pathIn(directory, name),
      directory,
      made: this.#made.slice(from),
    };
  }

  /** The permission bits of the file that a name leads to, following links; undefined if it leads to no file. */
  modeOf(name: FileName, root = this.#root): number | undefined {
    const parent = parentName(name);
    try {
      const above = this.#above(name, root, () => root.enter(parent, basename(name)));
      if (!existsSync(above.at(basename(name)))) return undefined;
      const info = root.peek(above, basename(name));
      using place = info?.isSymlink ? root.look(name) : undefined;
      const there = place?.info ?? info;
      return there?.isFile ? bitsOf(there) : undefined;
    } catch {
      // The directory may be missing, and is created for this file later. Any other failure will show then.
      this.#directories.get(root)?.delete(parent);
      return undefined;
    }
  }

  /** See {@linkcode Root.assertStanding}. */
  assertStanding(): void {
    this.#root.assertStanding(this.#held());
  }

  /** The directories that are held open. */
  *#held(): Iterable<Directory> {
    for (const found of this.#directories.values()) {
      for (const directory of found.values()) if (directory instanceof Directory) yield directory;
    }
    yield* this.#made;
  }

  /** Each root has its own directories, since one request may be able to see more than another. */
  #above(name: FileName, root: Root, open: () => Directory): Directory {
    const parent = parentName(name);
    const directories = this.#directories.get(root) ?? new Map<string, Directory | FerryError>();
    this.#directories.set(root, directories);
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

  /** Releases the directories. */
  [Symbol.dispose](): void {
    for (const directory of this.#held()) directory[Symbol.dispose]();
  }
}
