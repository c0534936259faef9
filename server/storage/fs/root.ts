/**
 * From names to places: the one module that decides where a name leads, and that it stays in the root.
 *
 * A name is walked part by part, each in the directory that the parts before it led to and that is held
 * open. Links are followed by walking what they say, never by the system, so that no answer depends on what
 * one leads to out of the root, or whether anything is there. Where another program replaces what was just
 * seen, the walk begins anew.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { Directory } from "./open_directory.ts";
import { type ErrorCode, FerryError, fileError, systemCodeOf } from "../../../lib/core/errors.ts";
import {
  assertStorable,
  type FileName,
  isStagingName,
  parentName,
  RESERVED_DIRECTORY,
} from "../../../lib/core/remote_name.ts";
import type { LocalFile } from "../../../lib/files/source_file.ts";
import { namingError } from "../../../lib/files/file_errors.ts";
import { basename, isAbsolute, resolve } from "../../../lib/core/paths.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";
import { type Keeper, mountedAnew, type OnRoot, Root } from "./root_directory.ts";

/** How often a walk begins anew because of what was replaced. */
const TRIES = 200;

/** How often a file that cannot be opened is tried again, to be sure that it was this file. */
const OPEN_FAILURES = 20;

/** How many links a name may lead over; as on Linux. */
const MAX_LINKS = 40;

/** How many parts are walked for one name, those of its links included. */
const MAX_STEPS = 10_000;

/** The longest path in bytes (Linux's PATH_MAX, less the NUL at its end). */
const MAX_PATH_BYTES = 4095;

/** The errors that say that a name leads nowhere. */
const NOTHING: readonly ErrorCode[] = ["not_found", "not_a_file", "bad_name"];

/** What was just seen under a name is something else by now. */
class Replaced extends Error {}

/** Where a name leads: an entry of a directory that is held until this is disposed of. */
export class Place implements Disposable {
  /** The directory. */
  readonly directory: Directory;
  /** The name in it; "" for the directory itself. */
  readonly name: string;
  /** What stands there; where it is a link, the link. */
  readonly info: Deno.FileInfo;

  /** A place, which disposes of the directory. */
  constructor(directory: Directory, name: string, info: Deno.FileInfo) {
    this.directory = directory;
    this.name = name;
    this.info = info;
  }

  /** Its path, which leads there for as long as the place is held. */
  get path(): string {
    return this.name === "" ? this.directory.path : this.directory.at(this.name);
  }

  /** Lets go of the directory. */
  [Symbol.dispose](): void {
    this.directory[Symbol.dispose]();
  }
}

/** Where a walk ended before its last part, since nothing stands there. */
interface Missing {
  directory: Directory;
  /** The part that is missing, and those behind it. */
  parts: string[];
  /** Undefined where they are parts of the name; else how many of those come behind the link that says them. */
  behindLink: number | undefined;
}

/** Options of a {@linkcode Jail}. */
export interface JailOptions {
  /** Whether a path that links led to may be gone on with: see `Bounds` in `storage.ts`. Default: any. */
  reaches?: ((path: string) => boolean) | undefined;
  /** Told when the root is lost, and when it is back. */
  onRoot?: OnRoot | undefined;
}

/** A root directory that no name leads out of. */
export class Jail implements Disposable {
  readonly #root: Root;
  /** The parts of the paths by which an absolute link may mean the root. */
  readonly #bases: readonly string[][];
  /** Undefined where all of the root may be reached. */
  readonly #reaches: JailOptions["reaches"];
  /** The directory that a file could be made in when that was last asked: most ask for the same again. */
  #placeable: FileName | "" | undefined;

  /**
   * Opens a root; or has one that is open once more, for somebody who may not reach all of it. That one is not
   * disposed of.
   *
   * @throws what the runtime throws
   */
  constructor(root: string | Jail, { reaches, onRoot }: JailOptions = {}) {
    this.#reaches = reaches;
    if (root instanceof Jail) {
      this.#root = root.#root;
      this.#bases = root.#bases;
      return;
    }
    this.#root = new Root(root, onRoot);
    this.#bases = [this.root, resolve(root)].map(partsOf);
  }

  /** The root. */
  get directory(): Directory {
    return this.#root.directory;
  }

  /** Its path, with links resolved. */
  get root(): string {
    return this.#root.path;
  }

  /**
   * Fails where the root is no longer the directory at its path, or another mount of it than that by which the
   * `used` directories were opened.
   *
   * @throws {FerryError} as {@linkcode Root.assertStanding}
   */
  assertStanding(used?: Iterable<Directory>): void {
    this.#root.assertStanding(used);
  }

  /** Who takes up all anew where the root was mounted anew: see {@linkcode Root.keeper}. */
  set keeper(keeper: Keeper) {
    this.#root.keeper = keeper;
  }

  /** Makes all names that lead into a directory lead nowhere. */
  hide(directory: Directory): void {
    this.#root.take(directory);
  }

  /**
   * What a name leads to, links followed.
   *
   * @throws {FerryError} `not_found`, also for what a link leads out of the root; `not_a_file` where a part of
   * the name is a file; `bad_name` for too many links
   */
  find(name: FileName | ""): Place {
    return this.#attempt(() => found(this.#walk(name, { follow: true })));
  }

  /** The same, or undefined where a name leads nowhere. */
  look(name: FileName | ""): Place | undefined {
    return this.#attempt(() => {
      try {
        const end = this.#walk(name, { follow: true });
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
   * Where a name itself stands, be it a link; links above it are followed.
   *
   * @throws {FerryError} as {@linkcode Jail.find}
   */
  place(name: FileName): Place {
    return this.#attempt(() => found(this.#walk(name, { follow: false })));
  }

  /**
   * Opens the file that a name leads to.
   *
   * @throws {FerryError} as {@linkcode Jail.find}; `not_a_file` where it is none, `denied`
   */
  open(name: FileName): LocalFile {
    let failures = 0;
    return this.#attempt(() => {
      using place = found(this.#walk(name, { follow: true }));
      try {
        return this.#openExactly(place);
      } catch (error) {
        // Once may have been something else, out of the root, that was swapped in for a moment.
        if (error instanceof Replaced || !place.info.isFile || ++failures > OPEN_FAILURES) {
          throw error;
        }
        throw new Replaced();
      }
    });
  }

  #openExactly({ directory, name, path, info }: Place): LocalFile {
    if (!info.isFile) {
      const what = info.isDirectory ? "a directory" : "not a regular file";
      throw new FerryError("not_a_file", `it is ${what}`);
    }
    const file = directory.open(name, info);
    // Where a path is all there is, this is as much as can be told.
    if (file && (directory.pinned || this.#mayLead(Deno.realPathSync(path)))) return file;
    void file?.[Symbol.asyncDispose]();
    throw new Replaced();
  }

  /**
   * Opens the directory that a name leads to.
   *
   * @param below what it is opened for, where that is one entry of it
   * @throws {FerryError} as {@linkcode Jail.find}; `not_a_file` where it is none
   */
  enter(name: FileName | "", below?: string): Directory {
    return this.#attempt(() => {
      using place = found(this.#walk(name, { follow: true, below }));
      if (place.name === "") return place.directory.hold();
      if (!place.info.isDirectory) throw new FerryError("not_a_file", "it is not a directory");
      return this.#enter(place.directory, place.name, place.info);
    });
  }

  /**
   * What stands under a name in a directory, a link not followed; undefined where nothing does.
   *
   * @throws {FerryError} `not_found` for what no name leads to
   * @throws what the runtime throws
   */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined {
    this.#assertReaches(() => this.pathOf(directory, name));
    return this.#peek(directory, name);
  }

  /** The same, and undefined for what no name leads to. */
  peekVisible(directory: Directory, name: string): Deno.FileInfo | undefined {
    try {
      return this.peek(directory, name);
    } catch (error) {
      if (error instanceof FerryError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  #peek(directory: Directory, name: string): Deno.FileInfo | undefined {
    this.#assertPresent(directory);
    if (this.#isReserved(directory, name)) throw nothingThere();
    let info: Deno.FileInfo;
    try {
      info = Deno.lstatSync(directory.at(name));
    } catch (error) {
      if (systemCodeOf(error) === "ENOTCONN") directory.miss(name);
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return this.directory.mend() ? this.#peek(directory, name) : undefined;
    }
    const isHidden = info.isDirectory &&
      this.#root.own.some((own) => directory.hasOurs(name, info, own));
    if (isHidden) throw nothingThere();
    return info;
  }

  #isHidden(directory: Directory): boolean {
    return this.#root.own.some((own) => directory.isOurs(own));
  }

  #enter(directory: Directory, name: string, info: Deno.FileInfo): Directory {
    const next = directory.enter(name, info);
    if (!next) throw new Replaced();
    if (!this.#isHidden(next)) return next;
    // It has got the name since it was looked at.
    next[Symbol.dispose]();
    throw nothingThere();
  }

  /** Opens the directory at a place, and lets go of the place. */
  #intoDirectory(end: Place): Directory {
    using place = end;
    if (place.name === "") return place.directory.hold();
    if (!place.info.isDirectory) throw partIsNoDirectory();
    return this.#enter(place.directory, place.name, place.info);
  }

  /**
   * Opens the directory above a name, after making those that are missing.
   *
   * @param changed takes the directories that got an entry by that, held
   * @throws {FerryError} `not_a_file` where a part of the name is a file or a link to nowhere; `not_found`
   * where it is a link out of the root; `bad_name`, `denied`, `no_space`
   */
  makeParent(name: FileName, changed: Directory[]): Directory {
    return this.#attempt(() => {
      this.#assertFits(name);
      const end = this.#walk(parentName(name), { follow: true, below: basename(name) });
      return end instanceof Place ? this.#intoDirectory(end) : this.#make(end, changed);
    });
  }

  /** Makes what is missing, and gives the last directory. */
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
        const info = this.#peek(directory, part);
        if (!info || info.isSymlink) throw new Replaced();
        if (!info.isDirectory) throw partIsNoDirectory();
        const next = this.#enter(directory, part, info);
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
   * Checks that a file could be made under a name, without making anything.
   *
   * @param fresh whether it will replace nothing, so that whoever gives it the name sees what has that already
   * @throws {FerryError} as {@linkcode Jail.makeParent}; `not_a_file` where the name is a directory, or a link
   * to one in the root
   */
  assertPlaceable(name: FileName, { fresh = false } = {}): void {
    this.#attempt(() => {
      this.#assertFits(name);
      const parent = parentName(name);
      // This only saves bytes that would come in vain: who gives the name to a file looks again.
      const known = parent === this.#placeable && !this.#reaches;
      if (known && (fresh || !existsSync(`${this.root}/${name}`))) return;
      const end = this.#walk(name, { follow: false });
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
   * The directory that a name would stand in or, where that is missing, the nearest one above it that is there.
   *
   * @throws {FerryError} as {@linkcode Jail.find}; `not_a_file` where it is none
   */
  nearest(name: FileName): Directory {
    return this.#attempt(() => {
      const end = this.#walk(parentName(name), { follow: true, below: basename(name) });
      return end instanceof Place ? this.#intoDirectory(end) : end.directory;
    });
  }

  /** The directory that these parts lead to without a link, where that is known at once. */
  #known(parts: readonly string[]): Directory | undefined {
    if (parts.length === 0) return this.directory.hold();
    if (this.#isReserved(this.directory, parts[0]!) || parts.some(isStagingName)) return undefined;
    const known = this.directory.known(parts.join("/"));
    if (!known || !this.#isHidden(known)) return known;
    known[Symbol.dispose]();
    return undefined;
  }

  /**
   * The path for what is to get a name in a directory that was opened for it.
   *
   * @throws {FerryError} `not_found` where no name leads there; `bad_name` where it would be too long
   */
  pathIn(directory: Directory, name: FileName): string {
    this.#assertReaches(() => this.pathOf(directory, basename(name)));
    this.#assertPresent(directory);
    if (this.#isReserved(directory, basename(name))) throw nothingThere();
    this.#assertFits(name);
    return directory.at(basename(name));
  }

  /** The path of an entry of a directory, from the root and without links; of the directory itself for "". */
  pathOf({ found }: Directory, name: string): string {
    return [found.slice(this.root.replace(/\/$/, "").length + 1), name].filter(Boolean).join("/");
  }

  /** Lets go of the root. */
  [Symbol.dispose](): void {
    this.#root[Symbol.dispose]();
  }

  /** `below` is an entry that is not walked to, of the directory that the name leads to. */
  #walk(
    name: FileName | "",
    { follow, below }: { follow: boolean; below?: string | undefined },
  ): Place | Missing {
    if (name !== "") assertStorable(name);
    let rest = partsOf(name);
    /** All of the way that is known: where it has come to, what is left, and what is wanted there. */
    const way = () => [...trail, ...rest, ...(below === undefined ? [] : [below])].join("/");
    /** The parts that led to the directory; none of them is a link. */
    let trail: string[] = [];
    this.#assertReaches(way);
    const known = this.#known(rest.slice(0, -1));
    if (known) [trail, rest] = [rest.slice(0, -1), rest.slice(-1)];
    let directory = known ?? this.directory.hold();
    const goTo = (next: Directory) => {
      directory[Symbol.dispose]();
      directory = next;
    };
    try {
      let behindLink: number | undefined;
      for (let steps = 0, links = 0; rest.length > 0; steps++) {
        if (steps > MAX_STEPS || links > MAX_LINKS) {
          throw new FerryError("bad_name", "too many symbolic links");
        }
        const part = rest.shift()!;
        if (part === "..") {
          rest = [...climb(trail, rest), ...rest];
          trail = [];
          goTo(this.directory.hold());
          this.#assertReaches(way);
          continue;
        }
        const info = this.#peek(directory, part);
        if (behindLink !== undefined && rest.length < behindLink) behindLink = undefined;
        if (!info) return { directory, parts: [part, ...rest], behindLink };
        if (info.isSymlink && (follow || rest.length > 0)) {
          links++;
          behindLink ??= rest.length;
          const target = this.#readLink(directory.at(part));
          if (target.absolute) {
            trail = [];
            goTo(this.directory.hold());
          }
          rest = [...target.parts, ...rest];
          // Before anything is looked at there, so that no answer depends on what is there.
          this.#assertReaches(way);
        } else if (rest.length === 0) return new Place(directory, part, info);
        else if (!info.isDirectory) throw partIsNoDirectory();
        else {
          goTo(this.#enter(directory, part, info));
          trail.push(part);
        }
      }
      return new Place(directory, "", Deno.statSync(directory.path));
    } catch (error) {
      directory[Symbol.dispose]();
      throw error;
    }
  }

  /** What a link says; from the root on where it is absolute. */
  #readLink(path: string): { parts: string[]; absolute: boolean } {
    let target: string;
    try {
      target = Deno.readLinkSync(path);
    } catch {
      throw new Replaced();
    }
    const parts = partsOf(target);
    if (!isAbsolute(target)) return { parts, absolute: false };
    const base = this.#bases.find((base) => base.every((part, at) => part === parts[at]));
    if (!base) throw nothingThere();
    return { parts: parts.slice(base.length), absolute: true };
  }

  /** Whether a path without links may be where a name leads. */
  #mayLead(real: string): boolean {
    const [base, parts] = [this.#bases[0]!, partsOf(real)];
    if (!base.every((part, at) => part === parts[at])) return false;
    return this.#reaches?.(parts.slice(base.length).join("/")) ?? true;
  }

  /** Lets a walk go on to a path, or an entry of a directory be acted on. */
  #assertReaches(path: () => string): void {
    if (!this.#reaches || this.#reaches(path())) return;
    throw new FerryError("denied", "a symbolic link leads out of what is granted");
  }

  /** What is ferry's own by an earlier mount is not known any more. */
  #assertPresent(directory: Directory): void {
    if (!directory.isBelow(this.directory)) throw mountedAnew();
  }

  #isReserved({ identity }: Directory, name: string): boolean {
    return isStagingName(name) ||
      identity === this.directory.identity && name.toLowerCase() === RESERVED_DIRECTORY;
  }

  #assertFits(name: FileName): void {
    assertStorable(name);
    // A UTF-16 unit is at most three bytes of UTF-8, so most names need no encoding to be measured.
    const path = `${this.root}/${name}`;
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

/** The parts of a path, without those that say nothing. */
function partsOf(path: string): string[] {
  return path.split(PLATFORM.separators).filter((part) => part !== "" && part !== ".");
}

/** The parts that are left of a trail by a "..", and by those that follow it, which are taken off the rest. */
function climb(trail: readonly string[], rest: string[]): string[] {
  let up = 1;
  for (; rest[0] === ".."; up++) rest.shift();
  if (up > trail.length) throw nothingThere();
  return trail.slice(0, trail.length - up);
}

function found(end: Place | Missing): Place {
  if (end instanceof Place) return end;
  end.directory[Symbol.dispose]();
  throw nothingThere();
}

function nothingThere(): FerryError {
  return new FerryError("not_found", "no such file or directory");
}

function partIsNoDirectory(): FerryError {
  return new FerryError("not_a_file", "a part of the name is not a directory");
}
