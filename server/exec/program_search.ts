/**
 * Where the programs are looked for that are started for clients: at no path that clients can change, or they could put
 * a program of their own in the place of an allowed one.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { dirname, isAbsolute, join } from "../../lib/core/paths.ts";

/** Where programs are looked for if `PATH` has no directory that can be used. */
const USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How many symbolic links a path may contain, as on Linux. */
const MAX_LINKS = 40;

/** Options of {@linkcode ProgramSearch.over}. */
export interface ProgramSearchOptions {
  /** The search path of this program, `PATH`. */
  path: string | undefined;
  /** The directory that clients write to; undefined where there is none on this machine. */
  root: string | undefined;
}

/** Finds the programs that may be started. */
export class ProgramSearch {
  readonly #root: Deno.FileInfo | undefined;
  readonly #directories: readonly string[];
  /** The directories of the search path that lie in the root. They are searched for the sake of error messages only. */
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
   * @throws {FerryError} `usage` where none is left
   */
  static over({ path = "", root }: ProgramSearchOptions): ProgramSearch {
    const rootInfo = root === undefined ? undefined : Deno.statSync(root);
    const inReach = (part: string) => leadsThrough(part, rootInfo);
    // An empty part of PATH stands for the working directory, as does one that is not absolute.
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
      { action: "run commands for clients" },
    );
  }

  /** `PATH` for the commands: only absolute directories that are out of the clients' reach. */
  get path(): string {
    return this.#directories.join(":");
  }

  /**
   * The path of a program that clients are to be allowed to run.
   *
   * @param name a name to be found in the directories that are searched, or an absolute path
   * @throws {FerryError} `usage` where there is none, or clients can replace it
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
    throw new FerryError("usage", reason, { action: `allow the command ${quote(name)}` });
  }

  /** The path of a program that the server itself uses, where Deno may run it. */
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
   * Whether clients may be able to change where an absolute path leads: whether it leads into the root, or through
   * it, by its own parts or by those of a symbolic link. What cannot be looked at is taken to be in reach.
   */
  inReach(path: string): boolean {
    return leadsThrough(path, this.#root);
  }
}

/** Whether an absolute path leads into a directory, or through it; see {@linkcode ProgramSearch.inReach}. */
function leadsThrough(path: string, root: Deno.FileInfo | undefined): boolean {
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
      // Where nothing is, clients cannot put anything either.
      return !(error instanceof Deno.errors.NotFound);
    }
  }
  return false;
}

/** Whether two are one directory, which may be mounted in several places. */
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
