/**
 * How a name is walked to its place: component by component, each in the directory that the components before it led
 * to, which is held open. Links are followed by walking what they say, never by the system, so that no answer depends
 * on what one leads to out of the root, or whether anything is there.
 *
 * @module
 */

import type { Bounds } from "../storage.ts";
import type { Directory } from "./open_directory.ts";
import { FerryError, systemCodeOf } from "../../../lib/core/errors.ts";
import {
  assertStorable,
  type FileName,
  isStagingName,
  RESERVED_DIRECTORY,
} from "../../../lib/core/remote_name.ts";
import { isAbsolute, resolve } from "../../../lib/core/paths.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";
import { mountedAnew, type RootDirectory } from "./root_directory.ts";

/** How many symbolic links a name may lead over, as on Linux. */
const MAX_LINKS = 40;

/** How many components are walked for one name, those of its links included. */
const MAX_STEPS = 10_000;

/** What was just seen under a name is something else by now. */
export class Replaced extends Error {}

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

/** Where a walk ended before the last component, since nothing stands there. */
export interface Missing {
  /** The directory that the walk had come to. */
  directory: Directory;
  /** The components that are left, the missing one first. */
  parts: string[];
  /**
   * Where a symbolic link introduced the missing component: how many components remain after that link. Undefined where
   * the name itself has the component.
   */
  behindLink: number | undefined;
}

/** Walks names in a root, as far as a request may reach. */
export class NameWalk {
  readonly #root: RootDirectory;
  /** The components of the paths by which an absolute link may mean the root. */
  readonly #bases: readonly string[][];
  /** Undefined where all of the root may be reached. */
  readonly #reaches: Bounds["reaches"] | undefined;

  /**
   * @param path the path by which the root was opened
   * @param reaches whether a path that links led to may be followed. Default: any.
   */
  constructor(root: RootDirectory, path: string, reaches?: Bounds["reaches"]) {
    this.#root = root;
    this.#bases = [root.path, resolve(path)].map(partsOf);
    this.#reaches = reaches;
  }

  get #top(): Directory {
    return this.#root.directory;
  }

  /** Whether the request may not reach all of the root. */
  get confined(): boolean {
    return this.#reaches !== undefined;
  }

  /**
   * Walks to what a name leads to.
   *
   * @param options.follow whether a link that stands there itself is followed
   * @param options.below an entry of the directory that the name leads to, which is not walked to; bounds are asked
   * about it
   * @throws {Replaced} where another program replaces what was just seen
   * @throws {FerryError} `not_found`, `not_a_file`, `bad_name`; `denied` for what is out of bounds
   */
  walk(
    name: FileName | "",
    { follow, below }: { follow: boolean; below?: string | undefined },
  ): Place | Missing {
    if (name !== "") assertStorable(name);
    let rest = partsOf(name);
    /** The whole path as far as it is known: the way so far, what is left of the name, and the entry wanted there. */
    const way = () => [...trail, ...rest, ...(below === undefined ? [] : [below])].join("/");
    /** The components that led to the directory; none of them is a link. */
    let trail: string[] = [];
    this.#assertReaches(way);
    const known = this.#known(rest.slice(0, -1));
    if (known) [trail, rest] = [rest.slice(0, -1), rest.slice(-1)];
    let directory = known ?? this.#top.hold();
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
          goTo(this.#top.hold());
          this.#assertReaches(way);
          continue;
        }
        const info = this.peek(directory, part);
        if (behindLink !== undefined && rest.length < behindLink) behindLink = undefined;
        if (!info) return { directory, parts: [part, ...rest], behindLink };
        if (info.isSymlink && (follow || rest.length > 0)) {
          links++;
          behindLink ??= rest.length;
          const target = this.#readLink(directory.at(part));
          if (target.absolute) {
            trail = [];
            goTo(this.#top.hold());
          }
          rest = [...target.parts, ...rest];
          // Before anything is looked at there, so that no answer depends on what is there.
          this.#assertReaches(way);
        } else if (rest.length === 0) return new Place(directory, part, info);
        else if (!info.isDirectory) throw partIsNoDirectory();
        else {
          goTo(this.enter(directory, part, info));
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

  /** Whether a name may lead to a path, which has no links in it. */
  mayLeadTo(real: string): boolean {
    const [base, parts] = [this.#bases[0]!, partsOf(real)];
    if (!base.every((part, at) => part === parts[at])) return false;
    return this.#reaches?.(parts.slice(base.length).join("/")) ?? true;
  }

  /**
   * Fails where the request may not reach an entry of a directory.
   *
   * @throws {FerryError} `denied`
   */
  assertReaches(directory: Directory, name: string): void {
    this.#assertReaches(() => this.pathOf(directory, name));
  }

  #assertReaches(path: () => string): void {
    if (!this.#reaches || this.#reaches(path())) return;
    throw new FerryError("denied", "a symbolic link leads out of what is granted");
  }

  /**
   * Fails where no name leads to an entry of a directory.
   *
   * @throws {FerryError} `not_found`; `busy` for a directory that was opened by an earlier mount, in which the state
   * directory cannot be told apart any more
   */
  assertNameable(directory: Directory, name: string): void {
    if (!directory.isBelow(this.#top)) throw mountedAnew();
    if (this.#isReserved(directory, name)) throw nothingThere();
  }

  #isReserved({ identity }: Directory, name: string): boolean {
    return isStagingName(name) ||
      identity === this.#top.identity && name.toLowerCase() === RESERVED_DIRECTORY;
  }

  /**
   * What stands under a name in a directory, a link not followed; undefined where nothing does. Bounds are not asked.
   *
   * @throws {FerryError} `not_found` for what no name leads to
   * @throws what the runtime throws
   */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined {
    this.assertNameable(directory, name);
    let info: Deno.FileInfo;
    try {
      info = Deno.lstatSync(directory.at(name));
    } catch (error) {
      if (systemCodeOf(error) === "ENOTCONN") directory.miss(name);
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return this.#top.mend() ? this.peek(directory, name) : undefined;
    }
    const isHidden = info.isDirectory &&
      this.#root.hidden.some((own) => directory.hasOurs(name, info, own));
    if (isHidden) throw nothingThere();
    return info;
  }

  #isHidden(directory: Directory): boolean {
    return this.#root.hidden.some((own) => directory.isOurs(own));
  }

  /**
   * Opens a directory in another one; `info` is what was seen there.
   *
   * @throws {Replaced} where something else stands there by now
   * @throws {FerryError} `not_found` for what no name leads to
   */
  enter(directory: Directory, name: string, info: Deno.FileInfo): Directory {
    const next = directory.enter(name, info);
    if (!next) throw new Replaced();
    if (!this.#isHidden(next)) return next;
    // The state directory got this name after the look.
    next[Symbol.dispose]();
    throw nothingThere();
  }

  /** The directory that these components lead to without a link, where one that is open is known to. */
  #known(parts: readonly string[]): Directory | undefined {
    if (parts.length === 0) return this.#top.hold();
    if (this.#isReserved(this.#top, parts[0]!) || parts.some(isStagingName)) return undefined;
    const known = this.#top.known(parts.join("/"));
    if (!known || !this.#isHidden(known)) return known;
    known[Symbol.dispose]();
    return undefined;
  }

  /** The path of an entry of a directory, relative to the root and without links; of the directory itself for "". */
  pathOf({ found }: Directory, name: string): string {
    return [found.slice(this.#root.path.replace(/\/$/, "").length + 1), name].filter(Boolean).join(
      "/",
    );
  }
}

/** The components of a path, without those that say nothing. */
function partsOf(path: string): string[] {
  return path.split(PLATFORM.separators).filter((part) => part !== "" && part !== ".");
}

/** What is left of a trail after a ".." and those that follow it, which are removed from the rest. */
function climb(trail: readonly string[], rest: string[]): string[] {
  let up = 1;
  for (; rest[0] === ".."; up++) rest.shift();
  if (up > trail.length) throw nothingThere();
  return trail.slice(0, trail.length - up);
}

/**
 * The place that a walk has come to.
 *
 * @throws {FerryError} `not_found` where it ended before that
 */
export function found(end: Place | Missing): Place {
  if (end instanceof Place) return end;
  end.directory[Symbol.dispose]();
  throw nothingThere();
}

/** The error for what no name leads to. */
function nothingThere(): FerryError {
  return new FerryError("not_found", "no such file or directory");
}

/** The error for a name that goes on below what is no directory. */
export function partIsNoDirectory(): FerryError {
  return new FerryError("not_a_file", "a part of the name is not a directory");
}
