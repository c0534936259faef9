/**
 * Deletes local files, links and empty directories, or keeps them as backups. Each is deleted in the directory that was
 * planned, never by way of a symbolic link that has taken the name of a directory meanwhile.
 *
 * Where the system has paths for descriptors, the directory is held open, so that a link comes too late. Elsewhere the
 * real path is looked at right before.
 *
 * @module
 */

import { closeSync } from "node:fs";
import { FerryError, fileError } from "../../lib/core/errors.ts";
import { inodeOf } from "../../lib/core/file_identity.ts";
import { basename, dirname } from "../../lib/core/paths.ts";
import { DescriptorLink, openDirectory } from "../../lib/files/descriptor_link.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { infoAt } from "../../lib/files/path_lookup.ts";
import { renameWithoutReplacing } from "../../lib/files/renaming.ts";
import { keepCopy } from "./backup_copy.ts";
import { nextNumber, numbered } from "./backup_names.ts";
import type { TargetEntry } from "./mirror_plan.ts";

/** How often a backup gets another name because others take it meanwhile. */
const TRIES = 20;

/** A directory that entries are deleted from. */
interface Held extends Disposable {
  /** The path of an entry. */
  at(name: string): string;
}

/** Deletes what is in one directory, or below it. */
export class LocalRemoval implements Disposable {
  /** The directory, in a path without links. */
  readonly #root: string;
  readonly #backup: string | undefined;
  /** Leads to directories that are held open; null before the first use, undefined where the system has no such paths. */
  #link: DescriptorLink | undefined | null = null;
  /** The directory in which the last entry was deleted: the next one is probably in it too. */
  #last: { directory: string; held: Held } | undefined;

  /**
   * Removals below the directory `root`, which exists.
   *
   * @param backup the directory that is to keep what is deleted. Default: nothing is kept.
   * @throws {FerryError} as the directory cannot be resolved
   */
  constructor(root: string, backup: string | undefined) {
    try {
      this.#root = Deno.realPathSync(root).replace(/\/$/, "");
    } catch (error) {
      throw fileError(error);
    }
    this.#backup = backup;
  }

  /**
   * Deletes an entry. A directory has to be empty; what else is in it stays, and so does the directory.
   *
   * @returns the path of its backup, if it is kept; null where it was gone already
   * @throws {FerryError} `busy` where something else has its name; `not_a_file` where a link leads there; `exists` for a
   * directory that is not empty, `denied`, `io`
   */
  async remove({ name, type }: TargetEntry): Promise<string | undefined | null> {
    try {
      const path = this.#in(dirname(`/${name}`).slice(1)).at(basename(name));
      const info = infoAt(path);
      if (!info) return null;
      if (!isOf(type, info)) throw new FerryError("busy", "something else has its name now");
      if (type === "directory") {
        Deno.removeSync(path);
        return this.#backup === undefined ? undefined : this.#directoryFor(name);
      }
      if (this.#backup !== undefined) return await this.#moveAway(path, name);
      Deno.removeSync(path);
      return undefined;
    } catch (error) {
      throw fileError(error);
    }
  }

  /**
   * Keeps a file that is about to be replaced, without taking its name away. Where nothing has the name, nothing is
   * kept.
   *
   * @throws {FerryError} as {@linkcode LocalRemoval.remove}
   */
  async keep(name: string): Promise<void> {
    try {
      // It is replaced through the very same links.
      const path = `${this.#root}/${name}`;
      const info = infoAt(path);
      if (!info) return;
      // An earlier attempt that was cut has kept it already.
      const kept = infoAt(`${this.#backup}/${name}`);
      if (kept && info.ino !== null && inodeOf(kept) === inodeOf(info)) return;
      await this.#underFreeName(name, (to) => keepCopy(path, to));
    } catch (error) {
      throw fileError(error);
    }
  }

  async #moveAway(path: string, name: string): Promise<string> {
    return await this.#underFreeName(name, async (to) => {
      try {
        renameWithoutReplacing(path, to);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "EXDEV") throw error;
        await keepCopy(path, to);
        Deno.removeSync(path);
      }
    });
  }

  #directoryFor(name: string): string {
    const directory = `${this.#backup}/${name}`;
    makeDirectories(directory);
    return directory;
  }

  /** Runs something with the name of a backup that nothing has. */
  async #underFreeName(
    name: string,
    run: (path: string) => void | Promise<void>,
  ): Promise<string> {
    const plain = `${this.#backup}/${name}`;
    makeDirectories(dirname(plain));
    for (let number = 0, tries = 1;; tries++) {
      const path = numbered(plain, number);
      try {
        await run(path);
        return path;
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists) || tries > TRIES) throw error;
        const names = Array.from(Deno.readDirSync(dirname(plain)), ({ name }) => name);
        number = nextNumber(basename(plain), names);
      }
    }
  }

  /** The directory with a relative name, "" for the root. */
  #in(directory: string): Held {
    if (this.#link === null) this.#link = DescriptorLink.open();
    if (this.#link && this.#last?.directory === directory) return this.#last.held;
    this.#release();
    const path = directory === "" ? this.#root || "/" : `${this.#root}/${directory}`;
    const held = this.#link ? holdOpen(path, this.#link) : looked(path);
    this.#last = { directory, held };
    return held;
  }

  #release(): void {
    this.#last?.held[Symbol.dispose]();
    this.#last = undefined;
  }

  /** Releases the directories. */
  [Symbol.dispose](): void {
    this.#release();
    this.#link?.remove();
  }
}

function isOf(type: TargetEntry["type"], info: Deno.FileInfo): boolean {
  if (type === "link") return info.isSymlink;
  return type === "directory" ? info.isDirectory : info.isFile;
}

/** Opens a directory by a path without links. */
function holdOpen(path: string, link: DescriptorLink): Held {
  const descriptor = openDirectory(path);
  if (descriptor === undefined) throw ledElsewhere();
  const base = `${link.path}/${descriptor}`;
  const held = {
    at: (name: string) => `${base}/${name}`,
    [Symbol.dispose]: () => closeSync(descriptor),
  };
  // The system tells where it is: elsewhere, where one of the directories above it has become a link.
  if (Deno.readLinkSync(base) === path) return held;
  held[Symbol.dispose]();
  throw ledElsewhere();
}

/** Looks whether a path leads to where it says. */
function looked(path: string): Held {
  if (Deno.realPathSync(path) !== path) throw ledElsewhere();
  return { at: (name) => `${path}/${name}`, [Symbol.dispose]() {} };
}

function ledElsewhere(): FerryError {
  return new FerryError("not_a_file", "a part of the path is a symbolic link, or has gone");
}
