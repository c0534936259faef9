/**
 * Searches for the programs that a server starts. Paths that clients can change are excluded: otherwise clients could
 * replace such a program by one of their own.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { dirname, isAbsolute, join } from "../../lib/core/paths.ts";

/** The search path if `PATH` contains no directory that can be used. */
const USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The maximum number of symbolic links in a path, as on Linux. */
const MAX_LINKS = 40;

/** Options of {@linkcode ProgramSearch.over}. */
export interface ProgramSearchOptions {
  /** The search path of this program, `PATH`. */
  path: string | undefined;
  /** The directory that clients write to; undefined if there is none on this machine. */
  root: string | undefined;
}

/** Finds the programs that may be started. */
export class ProgramSearch {
  readonly #root: Deno.FileInfo | undefined;
  readonly #directories: readonly string[];
  /** The directories of the search path that are inside the root. They are searched only for error messages. */
  readonly #excluded: readonly string[];

  private constructor(
    root: Deno.FileInfo | undefined,
    directories: readonly string[],
    excluded: readonly string[],
  ) {
    this.#root = root;
    this.#directories = directories;
    this.#excluded = excluded;
  }

  /**
   * Decides which directories are searched.
   *
   * @throws {FerryError} `usage` if none is left
   */
  static over({ path = "", root }: ProgramSearchOptions): ProgramSearch {
    const rootInfo = root === undefined ? undefined : Deno.statSync(root);
    const inReach = (part: string) => leadsThrough(part, rootInfo);
    // An empty part of PATH means the working directory, and a relative one depends on it: both are skipped.
    const parts = path.split(":").filter((part) => isAbsolute(part));
    const usual = USUAL_PATH.split(":");
    const directories = [parts, usual].map((some) => some.filter((part) => !inReach(part)))
      .find(({ length }) => length > 0);
    const excluded = [...parts, ...usual].filter(inReach);
    if (directories) return new ProgramSearch(rootInfo, directories, excluded);
    throw new FerryError(
      "usage",
      "all directories with programs lie in the one that is served, where clients could replace " +
        "them: serve another one, with --root",
    );
  }

  /** `PATH` for the commands: only absolute directories that clients cannot change. */
  get path(): string {
    return this.#directories.join(":");
  }

  /**
   * Finds the path of a program that is to be run.
   *
   * @param name a name to be found in the search path, or an absolute path
   * @throws {FerryError} `usage` if there is none, or clients can replace it
   */
  find(name: string): string {
    const found = this.#named(name, this.#directories) ?? this.#named(name, this.#excluded);
    const reason = found === undefined
      ? noProgram(name)
      : this.inReach(found)
      ? `${quote(found)} leads through the directory that is served, where clients could replace ` +
        "it: move the program elsewhere, or serve another directory"
      : undefined;
    if (reason === undefined) return found!;
    throw new FerryError("usage", reason);
  }

  /** The path of a program that the server itself uses; undefined if there is none, or Deno may not run it. */
  helper(name: string): string | undefined {
    return this.#directories.map((directory) => join(directory, name)).find((path) =>
      isProgram(path) && isPermitted(path) && !this.inReach(path)
    );
  }

  #named(name: string, directories: readonly string[]): string | undefined {
    if (name.includes("/")) return isAbsolute(name) && isProgram(name) ? name : undefined;
    if (name === "") return undefined;
    return directories.map((directory) => join(directory, name)).find(isProgram);
  }

  /**
   * Whether clients may be able to change where an absolute path leads: whether it leads into or through the root, by
   * its own components or by those of a symbolic link. Paths that cannot be checked count as in reach.
   */
  inReach(path: string): boolean {
    return leadsThrough(path, this.#root);
  }
}

/** Whether an absolute path leads into a directory, or through it; see {@linkcode ProgramSearch.inReach}. */
export function leadsThrough(path: string, root: Deno.FileInfo | undefined): boolean {
  if (!root) return false;
  let at = "/";
  let links = 0;
  if (isSame(root, Deno.statSync(at))) return true;
  for (const parts = path.split("/").reverse(); parts.length > 0;) {
    const part = parts.pop()!;
    if (part === "..") at = dirname(at);
    if (part === "" || part === "." || part === "..") continue;
    const next = join(at, part);
    try {
      const info = Deno.lstatSync(next);
      if (isSame(root, info)) return true;
      if (!info.isSymlink) {
        at = next;
        continue;
      }
      if (++links > MAX_LINKS) return true;
      const target = Deno.readLinkSync(next);
      if (isAbsolute(target)) at = "/";
      parts.push(...target.split("/").reverse());
    } catch (error) {
      // The path does not exist, and clients cannot create anything there either.
      return !(error instanceof Deno.errors.NotFound);
    }
  }
  return false;
}

/** Whether both are the same directory, which may be mounted in several places. */
function isSame(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/** Whether Deno may start a program. */
export function isPermitted(command: string): boolean {
  return Deno.permissions.querySync({ name: "run", command }).state === "granted";
}

function noProgram(name: string): string {
  if (!name.includes("/")) return "there is no such command on PATH";
  return isAbsolute(name)
    ? "there is no such program"
    : "it is neither a name nor an absolute path";
}

function isProgram(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && (mode === null || (mode & 0o111) !== 0);
  } catch {
    return false;
  }
}
