/**
 * Resolves a name component by component. Each component is looked up in the directory that the previous ones led to,
 * which is held open. Symbolic links are followed by walking their targets, never by the system. So no answer depends
 * on what a link that leads out of the root leads to, or on whether anything exists there.
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

/** The maximum number of symbolic links that are followed for one name, as on Linux. */
const MAX_LINKS = 40;

/** The maximum number of components that are walked for one name, including those of its links. */
const MAX_STEPS = 10_000;

/** Thrown when another program replaced an entry after it was looked at. */
export class Replaced extends Error {}

/** The entry that a name leads to, in a directory that is held open until this is disposed of. */
export class Place implements Disposable {
  /** The directory. */
  readonly directory: Directory;
  /** The name of the entry in the directory; "" for the directory itself. */
  readonly name: string;
  /** The attributes of the entry; of the link itself if it is a link. */
  readonly info: Deno.FileInfo;

  /** Creates a place, which owns the directory and disposes of it. */
  constructor(directory: Directory, name: string, info: Deno.FileInfo) {
    this.directory = directory;
    this.name = name;
    this.info = info;
  }

  /** Its path, valid until the place is disposed of. */
  get path(): string {
    return this.name === "" ? this.directory.path : this.directory.at(this.name);
  }

  /** Releases the directory. */
  [Symbol.dispose](): void {
    this.directory[Symbol.dispose]();
  }
}

/** Where a walk ended because a component does not exist. */
export interface Missing {
  /** The directory that the walk had reached. */
  directory: Directory;
  /** The remaining components, the missing one first. */
  parts: string[];
  /**
   * If the missing component comes from the target of a symbolic link: how many components remain after that link.
   * Undefined if the component is one of the name itself.
   */
  behindLink: number | undefined;
}

/** Resolves names in a root, confined to what a request may reach. */
export class NameWalk {
  readonly #root: RootDirectory;
  /** The paths of the root, as components: an absolute link that begins with one of them leads into the root. */
  readonly #bases: readonly string[][];
  /** Whether the request may reach a path; undefined if it may reach the whole root. */
  readonly #reaches: Bounds["reaches"] | undefined;
  readonly #showsState: boolean;

  /**
   * @param path the path by which the root was opened
   * @param reaches whether a path that links lead to may be reached. Default: undefined, any path.
   * @param showsState whether names lead into the state directory, for the server itself. Default: false.
   */
  constructor(root: RootDirectory, path: string, reaches?: Bounds["reaches"], showsState = false) {
    this.#root = root;
    this.#bases = [root.path, resolve(path)].map(partsOf);
    this.#reaches = reaches;
    this.#showsState = showsState;
  }

  get #top(): Directory {
    return this.#root.directory;
  }

  /** Whether the request is confined to parts of the root. */
  get confined(): boolean {
    return this.#reaches !== undefined;
  }

  /**
   * Resolves a name.
   *
   * @param options.follow whether the entry itself is followed if it is a link
   * @param options.below the name of an entry in the directory that the name leads to; it is not resolved, but the
   * bounds are asked about it
   * @param options.within a directory above the entry: components of the name below it that have others below them must
   * be no links
   * @throws {Replaced} if another program replaces an entry that was just looked at
   * @throws {FerryError} `not_found`, `not_a_file`, `bad_name`; `denied` for a path that is out of bounds
   */
  walk(
    name: FileName | "",
    { follow, below, within }: {
      follow: boolean;
      below?: string | undefined;
      within?: FileName | "" | undefined;
    },
  ): Place | Missing {
    if (name !== "") assertStorable(name);
    let rest = partsOf(name);
    /** The components below `within`, the last of which may be a link. */
    const straight = within === undefined ? 0 : rest.length - partsOf(within).length;
    /** The whole path as far as it is known: the components walked, those that remain, and the entry `below`. */
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
          if (behindLink === undefined && rest.length > 0 && rest.length < straight) {
            throw new FerryError("not_a_file", "a part of the name is a symbolic link");
          }
          links++;
          behindLink ??= rest.length;
          const target = this.#readLink(directory.at(part));
          if (target.absolute) {
            trail = [];
            goTo(this.#top.hold());
          }
          rest = [...target.parts, ...rest];
          // Asked before anything is accessed there, so that no answer depends on what exists there.
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

  /** The target of a link, as components; relative to the root if it is absolute. */
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

  /** Whether a name may lead to a path that contains no links. */
  mayLeadTo(real: string): boolean {
    const [base, parts] = [this.#bases[0]!, partsOf(real)];
    if (!base.every((part, at) => part === parts[at])) return false;
    return this.#reaches?.(parts.slice(base.length).join("/")) ?? true;
  }

  /**
   * Fails if the request may not reach an entry of a directory.
   *
   * @throws {FerryError} `denied`
   */
  assertReaches(directory: Directory, name: string): void {
    this.#assertReaches(() => this.pathOf(directory, name));
  }

  /**
   * Fails if the request may not reach a path without links.
   *
   * @throws {FerryError} `denied`
   */
  assertReachesPath(path: string): void {
    this.#assertReaches(() => path);
  }

  #assertReaches(path: () => string): void {
    if (!this.#reaches || this.#reaches(path())) return;
    throw new FerryError("denied", "a symbolic link leads out of what is granted");
  }

  /**
   * Fails if an entry of a directory is hidden from all names, as the state directory is.
   *
   * @throws {FerryError} `not_found`; `busy` for a directory that was opened through an earlier mount, in which the
   * state directory can no longer be recognised
   */
  assertNameable(directory: Directory, name: string): void {
    if (!directory.isBelow(this.#top)) throw mountedAnew();
    if (this.#isReserved(directory, name)) throw nothingThere();
  }

  #isReserved({ identity }: Directory, name: string): boolean {
    return isStagingName(name) ||
      !this.#showsState && identity === this.#top.identity &&
        name.toLowerCase() === RESERVED_DIRECTORY;
  }

  /**
   * Looks at an entry of a directory without following links; undefined if it does not exist. The bounds are not
   * checked.
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
      this.#hidden.some((own) => directory.hasOurs(name, info, own));
    if (isHidden) throw nothingThere();
    return info;
  }

  /** The directories that no name leads into. */
  get #hidden(): readonly Directory[] {
    return this.#showsState ? [] : this.#root.hidden;
  }

  #isHidden(directory: Directory): boolean {
    return this.#hidden.some((own) => directory.isOurs(own));
  }

  /**
   * Opens a subdirectory; `info` are the attributes that it was seen with.
   *
   * @throws {Replaced} if something else is there by now
   * @throws {FerryError} `not_found` for what no name leads to
   */
  enter(directory: Directory, name: string, info: Deno.FileInfo): Directory {
    const next = directory.enter(name, info);
    if (!next) throw new Replaced();
    if (!this.#isHidden(next)) return next;
    // The state directory got this name after it was looked at.
    next[Symbol.dispose]();
    throw nothingThere();
  }

  /** The directory that these components lead to without links, if it is already open. */
  #known(parts: readonly string[]): Directory | undefined {
    if (parts.length === 0) return this.#top.hold();
    if (this.#isReserved(this.#top, parts[0]!) || parts.some(isStagingName)) return undefined;
    const known = this.#top.known(parts.join("/"));
    if (!known || !this.#isHidden(known)) return known;
    known[Symbol.dispose]();
    return undefined;
  }

  /**
   * The path without links of a directory, which may be missing: relative to the root, which is "".
   *
   * @param below the entry in it that the bounds are asked about
   * @throws {FerryError} as {@linkcode NameWalk.walk}; `not_a_file` if a part of the name is a dangling link
   */
  realPathOf(name: FileName | "", below: string): string {
    const end = this.walk(name, { follow: true, below });
    using directory = end.directory;
    if (end instanceof Place) return this.pathOf(directory, end.name);
    if (end.behindLink !== undefined) throw partIsNoDirectory();
    return [this.pathOf(directory, ""), ...end.parts].filter(Boolean).join("/");
  }

  /**
   * The path of an entry in a directory, relative to the root and without links; "" as the name means the directory
   * itself.
   */
  pathOf({ found }: Directory, name: string): string {
    return [found.slice(this.#root.path.replace(/\/$/, "").length + 1), name].filter(Boolean).join(
      "/",
    );
  }
}

/** The components of a path, without empty ones and ".". */
function partsOf(path: string): string[] {
  return path.split(PLATFORM.separators).filter((part) => part !== "" && part !== ".");
}

/**
 * Applies a ".." and those that directly follow it in `rest` to a trail. Removes them from `rest`, and returns the
 * remaining trail.
 */
function climb(trail: readonly string[], rest: string[]): string[] {
  let up = 1;
  for (; rest[0] === ".."; up++) rest.shift();
  if (up > trail.length) throw nothingThere();
  return trail.slice(0, trail.length - up);
}

/**
 * The place at the end of a walk.
 *
 * @throws {FerryError} `not_found` if a component was missing
 */
export function found(end: Place | Missing): Place {
  if (end instanceof Place) return end;
  end.directory[Symbol.dispose]();
  throw nothingThere();
}

/** The error for a name that leads nowhere. */
function nothingThere(): FerryError {
  return new FerryError("not_found", "no such file or directory");
}

/** The error for a name with a component that is not a directory but has others below it. */
export function partIsNoDirectory(): FerryError {
  return new FerryError("not_a_file", "a part of the name is not a directory");
}
