/**
 * How the arguments of a transfer become names on the server and local paths.
 *
 * A path that ends with a slash, or is `.` or `..`, is a directory to put something into; any other path is the new
 * name itself.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { basename, isGlob, join, resolve } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";

/**
 * A name on the server as users write it: `.` and `/` are the root; a leading `./` and a trailing slash are ignored.
 *
 * @throws {FerryError} `usage` for an empty name, as an unset shell variable yields it: that does not mean the root
 */
export function remoteName(text: string): string {
  if (text === "") {
    throw new FerryError("usage", "a name is empty: write . for the directory that is served");
  }
  return normalized(text);
}

function normalized(text: string): string {
  const name = text.replace(/^(?:\.\/+)+/, "").replace(/(?:\/+\.?)+$/, "");
  return name === "." ? "" : name;
}

/** A name on the server for a message; the root is shown as users write it. */
export function named(name: string): string {
  return quote(name === "" ? "." : name);
}

/**
 * Refuses the root for actions that apply only to entries below it.
 *
 * @param action what was attempted: `remove`
 */
export function assertBelowRoot(name: string, action: string): void {
  if (name !== "") return;
  const reason = "it is the directory that is served itself";
  throw new FerryError("bad_name", reason, { action: `${action} ${named(name)}` });
}

/** The destination of an upload, from `--as` and `--to`. */
export interface RemoteTarget {
  /** The new name, or with a trailing slash the directory. */
  as: string | undefined;
  /** The directory, which may have a leading slash. */
  to: string | undefined;
}

/** The name on the server for an upload of a local path. `-`, standard input, has no name of its own. */
export function nameOnServer(path: string, { as, to = "" }: RemoteTarget): string {
  const own = path === "-" ? "" : basename(resolve(path));
  const into = as !== undefined && isInto(as, /\//);
  const name = as === undefined ? own : into ? inside(remoteName(as), own) : remoteName(as);
  if (path === "-" && (as === undefined || into)) {
    throw new FerryError(
      "usage",
      "standard input has no name: say with --as what it is to be called",
    );
  }
  return inside(normalized(to.replace(/^\/+/, "")), name);
}

/** A name inside of a directory; both may be the root. */
export function inside(directory: string, name: string): string {
  return directory === "" || name === "" ? directory + name : `${directory}/${name}`;
}

/** The name of something relative to a directory that it is in; undefined where it is not. */
export function nameBelow(directory: string, filename: string): string | undefined {
  if (directory === "") return filename;
  return filename.startsWith(`${directory}/`) ? filename.slice(directory.length + 1) : undefined;
}

/**
 * The name of an entry in the list of a directory, relative to that; it may be invalid.
 *
 * @throws {FerryError} `bad_name` where it is not in the directory
 */
export function listedBelow(directory: string, filename: string): string {
  const name = nameBelow(directory, filename);
  if (name !== undefined) return name;
  throw new FerryError("bad_name", `the server lists ${quote(filename)}, which is not in it`);
}

/** The last component of a name. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The destination of the downloads of one command. */
export class LocalTarget {
  readonly #out: string | undefined;
  readonly #many: boolean;
  readonly #isDirectory: boolean;

  /**
   * @param out the value of `--out`
   * @param options.many whether there are several names, or a pattern that may stand for several
   * @throws {FerryError} `usage` where several files cannot go there
   */
  constructor(out: string | undefined, { many }: { many: boolean }) {
    this.#out = out;
    this.#many = many;
    const info = out === undefined ? undefined : infoOf(out);
    this.#isDirectory = info?.isDirectory === true;
    if (out !== undefined && many && info && !info.isDirectory) {
      throw new FerryError(
        "usage",
        `${quote(out)} is no directory, and several files are to be got`,
      );
    }
  }

  /** The path of a file: as with cp, it goes into `--out` where that is an existing directory. */
  ofFile(name: string): string {
    return this.#path(name, this.#isDirectory);
  }

  /** The path of a directory. It is the same whether it exists or not, so that a repeated command does the same. */
  ofDirectory(name: string): string {
    return this.#path(name, false);
  }

  #path(name: string, into: boolean): string {
    const own = basename(name);
    if (this.#out === undefined) return own || ".";
    const goesInto = into || this.#many || isInto(this.#out, PLATFORM.separators);
    return goesInto ? join(this.#out, own) : this.#out;
  }
}

/** Whether several files may be meant by the arguments, which stand for these names. */
export function mayBeSeveral(args: readonly string[], names: readonly string[]): boolean {
  return names.length > 1 || args.some((arg) => isGlob(arg) && !names.includes(remoteName(arg)));
}

/**
 * Fails where two sources would end at the same place, so that one would be lost.
 *
 * @throws {FerryError} `usage`
 */
export function assertDistinct(pairs: Iterable<readonly [source: string, target: string]>): void {
  const sources = new Map<string, string>();
  for (const [source, target] of pairs) {
    const other = sources.get(target);
    if (other !== undefined) {
      throw new FerryError(
        "usage",
        `${quote(other)} and ${quote(source)} would both become ${quote(target)}`,
      );
    }
    sources.set(target, source);
  }
  for (const [target, source] of sources) {
    const around = directoriesOf(target).find((directory) => sources.has(directory));
    if (around === undefined) continue;
    const other = sources.get(around)!;
    throw new FerryError(
      "usage",
      `${quote(other)} may have something that becomes ${quote(target)}, as ${quote(source)} would`,
    );
  }
}

/** The parent directories of a path, named as targets are. */
function directoriesOf(path: string): string[] {
  const parts = path.split("/");
  const above = parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
  const isRelative = !path.startsWith("/") && path !== "" && path !== ".";
  return isRelative ? ["", ".", ...above] : above;
}

/** Whether a path, as it is written, is a directory to put something into. */
export function isInto(path: string, separators: RegExp): boolean {
  return /^\.{0,2}$/.test(path.split(separators).at(-1)!);
}

function infoOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}
