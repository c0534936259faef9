/**
 * What the arguments of a transfer mean: which name on the server, which path here.
 *
 * A path that ends with a slash, or is `.` or `..`, is a directory that something goes into; any other one is
 * what it becomes.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { basename, isGlob, join, resolve } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";

/**
 * A name on the server from how people write it: `.` and `/` are the root, `./` in front and a slash behind
 * mean nothing.
 *
 * @throws {FerryError} `usage` for none, as a variable of a shell that is not set gives it: that is not the root
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

/** A name on the server in a message; the root is what people write for it. */
export function named(name: string): string {
  return quote(name === "" ? "." : name);
}

/**
 * Refuses the root where only what is in it can be meant.
 *
 * @param action what cannot be done: `remove`
 * @throws {FerryError} `bad_name`
 */
export function assertBelowRoot(name: string, action: string): void {
  if (name !== "") return;
  const reason = "it is the directory that is served itself";
  throw new FerryError("bad_name", reason, { action: `${action} ${named(name)}` });
}

/** Where an upload goes, by `--as` and `--to`. */
export interface RemoteTarget {
  /** The name, or with a slash behind it the directory. */
  as: string | undefined;
  /** The directory, which a slash may stand in front of. */
  to: string | undefined;
}

/** The name on the server that an upload of a local path gets; `-`, standard input, has none of its own. */
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

/** A name in a directory; both may be the root. */
export function inside(directory: string, name: string): string {
  return directory === "" || name === "" ? directory + name : `${directory}/${name}`;
}

/** The last part of a name. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Where the downloads of one command go. */
export class LocalTarget {
  readonly #out: string | undefined;
  readonly #many: boolean;
  readonly #isDirectory: boolean;

  /**
   * @param out what `--out` says
   * @param options.many whether there are several names, or a pattern that may stand for several
   * @throws {FerryError} `usage` where several cannot go there
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

  /** The path of a file: as with cp, it goes into a directory that is there. */
  ofFile(name: string): string {
    return this.#path(name, this.#isDirectory);
  }

  /** The path of a directory, which is the same whether it is there or not: so a repetition does the same. */
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

/** Whether several things may be meant by arguments that stand for these names. */
export function mayBeSeveral(args: readonly string[], names: readonly string[]): boolean {
  return names.length > 1 || args.some((arg) => isGlob(arg) && !names.includes(remoteName(arg)));
}

/**
 * Fails where two things would end at one place, of which one would be lost.
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

/** The directories that a path is in, by names as a target has them. */
function directoriesOf(path: string): string[] {
  const parts = path.split("/");
  const above = parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
  const isRelative = !path.startsWith("/") && path !== "" && path !== ".";
  return isRelative ? ["", ".", ...above] : above;
}

/** Whether a path as it is written is a directory that something goes into. */
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
