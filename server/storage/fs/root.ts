/**
 * The root: a directory that no name leads out of. This module resolves every name to a path below it. If another
 * program replaces an entry while a name is being resolved, the resolution starts over.
 *
 * @module
 */

import { existsSync } from "node:fs";
import type { Directory } from "./open_directory.ts";
import { type ErrorCode, FerryError, fileError } from "../../../lib/core/errors.ts";
import type { Bounds } from "../storage.ts";
import {
  assertStorable,
  type FileName,
  joinName,
  parentName,
} from "../../../lib/core/remote_name.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import { flawOfTarget, leadsTo } from "../../../lib/core/link_target.ts";
import type { LocalFile } from "../../../lib/files/local_file.ts";
import { namingError } from "../../../lib/files/file_errors.ts";
import { basename } from "../../../lib/core/paths.ts";
import { found, type Missing, NameWalk, partIsNoDirectory, Place, Replaced } from "./name_walk.ts";
import { type OnRoot, type RemountHandler, RootDirectory } from "./root_directory.ts";

/** How often the resolution of a name starts over because entries were replaced. */
const TRIES = 200;

/** How often opening a file is tried again, to make sure that the error was about this file. */
const OPEN_FAILURES = 20;

/** The longest path in bytes: Linux's PATH_MAX without the terminating NUL. */
const MAX_PATH_BYTES = 4095;

/** The errors of a name that leads nowhere. */
const NOTHING: readonly ErrorCode[] = ["not_found", "not_a_file", "bad_name"];

/** A directory that no name leads out of. */
export class Root implements Disposable {
  readonly #directory: RootDirectory;
  /** The path by which it was opened. */
  readonly #openedBy: string;
  readonly #names: NameWalk;
  /** The last directory found to accept new files: the next request is probably about the same one. */
  #placeable: FileName | "" | undefined;

  private constructor(
    directory: RootDirectory,
    openedBy: string,
    reaches?: Bounds["reaches"],
    showsState?: boolean,
  ) {
    this.#directory = directory;
    this.#openedBy = openedBy;
    this.#names = new NameWalk(directory, openedBy, reaches, showsState);
  }

  /**
   * Opens a directory as a root.
   *
   * @param onRoot called when the directory is lost, and when it is back
   * @throws what the runtime throws
   */
  static open(path: string, onRoot?: OnRoot): Root {
    return new Root(RootDirectory.open(path, onRoot), path);
  }

  /**
   * The same root, confined for one request. It need not be disposed of.
   *
   * @param reaches whether a path that links lead to may be reached: see `Bounds` in `storage.ts`
   */
  confinedBy(reaches: Bounds["reaches"]): Root {
    return new Root(this.#directory, this.#openedBy, reaches);
  }

  /**
   * The same root for the server itself: names lead into one directory of the state directory, and nowhere else. It need
   * not be disposed of.
   */
  confinedTo(own: FileName): Root {
    const reaches = (path: string) => path === own || path.startsWith(`${own}/`);
    return new Root(this.#directory, this.#openedBy, reaches, true);
  }

  /** The directory, held open. */
  get directory(): Directory {
    return this.#directory.directory;
  }

  /** Its path, with links resolved. */
  get path(): string {
    return this.#directory.path;
  }

  /**
   * Fails if the root is no longer the directory at its path, or was remounted after the `used` directories were
   * opened.
   *
   * @throws {FerryError} as {@linkcode RootDirectory.assertStanding}
   */
  assertStanding(used?: Iterable<Directory>): void {
    this.#directory.assertStanding(used);
  }

  /** Reopens everything after a remount: see {@linkcode RootDirectory.remountHandler}. */
  set remountHandler(handler: RemountHandler) {
    this.#directory.remountHandler = handler;
  }

  /** Hides a directory: no name leads into it any more. */
  hide(directory: Directory): void {
    this.#directory.hide(directory);
  }

  /**
   * Resolves a name, following links.
   *
   * @throws {FerryError} `not_found`, also if a link leads out of the root; `not_a_file` if a component of the name is
   * a file; `bad_name` for too many links
   */
  find(name: FileName | ""): Place {
    return this.#attempt(() => found(this.#names.walk(name, { follow: true })));
  }

  /** Like {@linkcode Root.find}, but undefined if the name leads nowhere. */
  look(name: FileName | ""): Place | undefined {
    return this.#attempt(() => {
      try {
        const end = this.#names.walk(name, { follow: true });
        if (end instanceof Place) return end;
        end.directory[Symbol.dispose]();
      } catch (error) {
        if (error instanceof Replaced) throw error;
        const { code } = fileError(error);
        if (!NOTHING.includes(code)) throw error;
      }
      return undefined;
    });
  }

  /**
   * Resolves a name without following the entry itself, which may be a link. Links in its parent directories are
   * followed.
   *
   * @param within a directory above it, below which no parent directory may be a link. Default: undefined, each may.
   * @throws {FerryError} as {@linkcode Root.find}; `not_a_file` for a link below `within`
   */
  place(name: FileName, within?: FileName | ""): Place {
    return this.#attempt(() => found(this.#names.walk(name, { follow: false, within })));
  }

  /** Like {@linkcode Root.place}, but undefined if nothing has the name. */
  placeIfAny(name: FileName): Place | undefined {
    try {
      return this.place(name);
    } catch (error) {
      if (fileError(error).code === "not_found") return undefined;
      throw error;
    }
  }

  /**
   * Fails if a link would lead out of the root or of what the request may reach: by its text, seen from the name that
   * the client gave and from the directory that this leads to, or through other links that are there now. What is
   * missing may come later: as the target has no `..` behind a name, it leads further down only, and whatever becomes a
   * link there is checked by itself.
   *
   * @param directory the directory of the link. Default: the one that its name leads to
   * @throws {FerryError} `denied`; the errors of {@linkcode Root.find} for its directory
   */
  assertStays(name: FileName, target: string, directory?: Directory): void {
    const flaw = flawOfTarget(target);
    if (flaw !== undefined) throw new FerryError("denied", `the target of the link ${flaw}`);
    this.#attempt(() => {
      const from = directory
        ? this.pathOf(directory, "")
        : this.#names.realPathOf(parentName(name), basename(name));
      const byText = [parentName(name), from as FileName | ""].map((at) => leadsTo(at, target));
      if (byText.includes(undefined)) throw leadsOut();
      for (const path of byText) this.#names.assertReachesPath(path!);
      try {
        const end = this.#names.walk(byText[1]!, { follow: true });
        end.directory[Symbol.dispose]();
        if (end instanceof Place || !end.parts.includes("..")) return;
      } catch (error) {
        if (error instanceof Replaced) throw error;
        // A link through a file, or in a circle, leads nowhere.
        const { code } = fileError(error);
        if (code === "not_a_file" || code === "bad_name") return;
        if (code !== "not_found") throw error;
      }
      throw leadsOut();
    });
  }

  /**
   * Opens the file that a name leads to.
   *
   * @throws {FerryError} as {@linkcode Root.find}; `not_a_file` if it is not a regular file, `denied`
   */
  open(name: FileName, runtime: Runtime): LocalFile {
    let failures = 0;
    return this.#attempt(() => {
      using place = found(this.#names.walk(name, { follow: true }));
      try {
        return this.#openExactly(place, runtime);
      } catch (error) {
        // A single failure may be about another file that was swapped in for a moment.
        if (error instanceof Replaced || !place.info.isFile || ++failures > OPEN_FAILURES) {
          throw error;
        }
        throw new Replaced();
      }
    });
  }

  #openExactly({ directory, name, path, info }: Place, runtime: Runtime): LocalFile {
    if (!info.isFile) {
      const what = info.isDirectory ? "a directory" : "not a regular file";
      throw new FerryError("not_a_file", `it is ${what}`);
    }
    const file = directory.open(name, info, runtime);
    // If directories cannot be held open, only the resolved path can be checked.
    if (file && (directory.pinned || this.#names.mayLeadTo(Deno.realPathSync(path)))) return file;
    void file?.[Symbol.asyncDispose]();
    throw new Replaced();
  }

  /**
   * Opens the directory that a name leads to.
   *
   * @param below the entry in it that is needed. Default: undefined, all of them.
   * @throws {FerryError} as {@linkcode Root.find}; `not_a_file` if it is not a directory
   */
  enter(name: FileName | "", below?: string): Directory {
    return this.#attempt(() => {
      using place = found(this.#names.walk(name, { follow: true, below }));
      if (place.name === "") return place.directory.hold();
      if (!place.info.isDirectory) throw new FerryError("not_a_file", "it is not a directory");
      return this.#names.enter(place.directory, place.name, place.info);
    });
  }

  /**
   * Looks at an entry of a directory without following links; undefined if it does not exist.
   *
   * @throws {FerryError} `not_found` for what no name leads to
   * @throws what the runtime throws
   */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined {
    this.#names.assertReaches(directory, name);
    return this.#names.peek(directory, name);
  }

  /** Like {@linkcode Root.peek}, but undefined if no name leads there. */
  peekVisible(directory: Directory, name: string): Deno.FileInfo | undefined {
    try {
      return this.peek(directory, name);
    } catch (error) {
      if (error instanceof FerryError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  /** Opens the directory at a place, and releases the place. */
  #intoDirectory(end: Place): Directory {
    using place = end;
    if (place.name === "") return place.directory.hold();
    if (!place.info.isDirectory) throw partIsNoDirectory();
    return this.#names.enter(place.directory, place.name, place.info);
  }

  /**
   * Opens the parent directory of a name, creating missing directories.
   *
   * @param changed receives the directories in which others were created, held open
   * @throws {FerryError} `not_a_file` if a parent directory in the name is a file or a dangling link; `not_found` if it
   * is a link out of the root; `bad_name`, `denied`, `no_space`
   */
  makeParent(name: FileName, changed: Directory[]): Directory {
    return this.#attempt(() => {
      this.assertFits(name);
      const end = this.#names.walk(parentName(name), { follow: true, below: basename(name) });
      return end instanceof Place ? this.#intoDirectory(end) : this.#make(end, changed);
    });
  }

  /** Creates the missing directories, and returns the last one. */
  #make({ directory: start, parts, behindLink }: Missing, changed: Directory[]): Directory {
    let directory = start;
    try {
      if (behindLink !== undefined) throw partIsNoDirectory();
      for (const part of parts) {
        try {
          Deno.mkdirSync(directory.at(part));
          changed.push(directory.hold());
        } catch (error) {
          if (!(error instanceof Deno.errors.AlreadyExists)) {
            throw namingError(error, directory.at(part));
          }
        }
        const info = this.#names.peek(directory, part);
        if (!info || info.isSymlink) throw new Replaced();
        if (!info.isDirectory) throw partIsNoDirectory();
        const next = this.#names.enter(directory, part, info);
        directory[Symbol.dispose]();
        directory = next;
      }
      return directory;
    } catch (error) {
      directory[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Checks that a file could be created under a name, without creating anything.
   *
   * @param fresh whether it will replace nothing; a name that is taken is then found when the file is published
   * @throws {FerryError} as {@linkcode Root.makeParent}; `not_a_file` if the name is a directory, or a link to one in
   * the root
   */
  assertPlaceable(name: FileName, { fresh = false } = {}): void {
    this.#attempt(() => {
      this.assertFits(name);
      const parent = parentName(name);
      // This check only refuses uploads early. Publishing checks again.
      const known = parent === this.#placeable && !this.#names.confined;
      if (known && (fresh || !existsSync(`${this.path}/${name}`))) return;
      const end = this.#names.walk(name, { follow: false });
      if (!(end instanceof Place)) {
        end.directory[Symbol.dispose]();
        if (end.behindLink !== undefined) throw partIsNoDirectory();
      } else {
        using place = end;
        // A link is replaced, wherever it leads.
        using target = place.info.isSymlink ? this.look(name) : undefined;
        if ((target ?? place).info.isDirectory) {
          throw new FerryError("not_a_file", "it is a directory");
        }
      }
      this.#placeable = parent;
    });
  }

  /**
   * The parent directory of a name or, if that is missing, the nearest existing directory above it.
   *
   * @throws {FerryError} as {@linkcode Root.find}; `not_a_file` if it is not a directory
   */
  nearest(name: FileName): Directory {
    return this.#attempt(() => {
      const end = this.#names.walk(parentName(name), { follow: true, below: basename(name) });
      return end instanceof Place ? this.#intoDirectory(end) : end.directory;
    });
  }

  /**
   * The path by which an entry gets a name in a directory that was opened for it.
   *
   * @throws {FerryError} `not_found` if no name leads there; `bad_name` if the path would be too long
   */
  pathIn(directory: Directory, name: FileName): string {
    const entry = basename(name);
    this.#names.assertReaches(directory, entry);
    this.#names.assertNameable(directory, entry);
    this.assertFits(name);
    return directory.at(entry);
  }

  /**
   * The path without links that a name has, or would have: relative to the root. The entry itself is not followed.
   *
   * @throws {FerryError} as {@linkcode Root.find}
   */
  realPathOf(name: FileName): FileName {
    return this.#attempt(() =>
      joinName(
        this.#names.realPathOf(parentName(name), basename(name)) as FileName | "",
        basename(name),
      )
    );
  }

  /**
   * The path of an entry in a directory, relative to the root and without links; "" as the name means the directory
   * itself.
   */
  pathOf(directory: Directory, name: string): string {
    return this.#names.pathOf(directory, name);
  }

  /** Releases the root. */
  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }

  /**
   * Checks that the system takes a name, and the path that it leads to.
   *
   * @throws {FerryError} `bad_name`
   */
  assertFits(name: FileName): void {
    assertStorable(name);
    // A UTF-16 unit is at most three bytes of UTF-8, so most names need no encoding to be measured.
    const path = `${this.path}/${name}`;
    if (path.length * 3 <= MAX_PATH_BYTES) return;
    if (new TextEncoder().encode(path).length <= MAX_PATH_BYTES) return;
    throw new FerryError("bad_name", "the path is longer than the system takes");
  }

  #attempt<T>(run: () => T): T {
    this.assertStanding();
    for (let tries = 1;; tries++) {
      try {
        return run();
      } catch (error) {
        if (!(error instanceof Replaced)) throw fileError(error);
        if (tries < TRIES) continue;
        throw new FerryError("busy", "another program keeps replacing it");
      }
    }
  }
}

function leadsOut(): FerryError {
  return new FerryError("denied", "the link leads out of the directory that may be written to");
}
