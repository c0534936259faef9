/**
 * Where the files and directories of a staged tree are created. Names are relative to the tree.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import { basename, dirname } from "../../../lib/core/paths.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import { namingError } from "../../../lib/files/file_errors.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import type { Quota } from "../quota.ts";
import type { Directory } from "./open_directory.ts";
import type { TreeContents } from "./tree_contents.ts";
import { removeStaged } from "./tree_leftovers.ts";

/** The places in one staged tree. */
export class TreePlaces {
  readonly #top: Directory;
  readonly #contents: TreeContents;
  readonly #quota: Quota;

  /** The places in the tree `top`, of which `contents` is known. */
  constructor(top: Directory, contents: TreeContents, quota: Quota) {
    this.#top = top;
    this.#contents = contents;
    this.#quota = quota;
  }

  /**
   * Creates a directory, and those above it, unless they are known to exist.
   *
   * @throws {FerryError} `not_a_file` if a component of the name is a file
   */
  makeDirectory(inside: string): void {
    const contents = this.#contents;
    if (contents.hasDirectory(inside)) return;
    this.makeDirectory(parentName(inside as FileName));
    const path = this.#top.at(inside);
    try {
      Deno.mkdirSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw namingError(error, path);
      if (!Deno.lstatSync(path).isDirectory) {
        if (!contents.isLeft(inside)) {
          throw new FerryError("not_a_file", "a part of the name is not a directory");
        }
        this.#removeFile(inside);
        Deno.mkdirSync(path);
      }
    }
    contents.madeDirectory(inside);
  }

  /** Makes the place for a file: its path is free, and the directories above it exist. */
  make(inside: string): string {
    this.makeDirectory(parentName(inside as FileName));
    this.#contents.supersede(inside);
    const path = this.#top.at(inside);
    const there = this.#contents.used ? infoAt(path) : undefined;
    if (there?.isDirectory) this.#removeDirectory(inside);
    else if (there) this.#removeFile(inside);
    return path;
  }

  /** Creates a file under its own name, in the place of any that was put there before. */
  create(inside: string): { file: Deno.FsFile; path: string } {
    this.makeDirectory(parentName(inside as FileName));
    this.#contents.supersede(inside);
    const path = this.#top.at(inside);
    const create = () => {
      const file = Deno.openSync(path, { write: true, createNew: true });
      this.#contents.used = true;
      return { file, path };
    };
    try {
      try {
        return create();
      } catch (error) {
        // Few names are taken: to look at each before would take about as long as to create the file.
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        this.make(inside);
        return create();
      }
    } catch (error) {
      throw namingError(error, path);
    }
  }

  /** Removes a directory that an earlier client has left in the place of a file. */
  #removeDirectory(inside: string): void {
    if (!this.#contents.isLeft(inside)) throw new FerryError("not_a_file", "it is a directory");
    removeStaged(this.#top, inside, this.#quota);
    this.#contents.removedWhole(inside);
  }

  /**
   * Removes a file that is replaced.
   *
   * @throws {FerryError} `bad_name` if it is another one: the file system takes its name for the same
   */
  #removeFile(inside: string): void {
    const path = this.#top.at(inside);
    const info = Deno.lstatSync(path);
    const name = basename(inside);
    const isNamed = [...Deno.readDirSync(dirname(path))].some((entry) => entry.name === name);
    if (!isNamed) {
      throw new FerryError("bad_name", "the file system takes it for the name of another file");
    }
    Deno.removeSync(path);
    this.#quota.lost(info);
    if (info.isFile) this.#contents.count(info.size, -1);
    this.#contents.removed(inside);
  }
}
