/**
 * Which programs of this machine are started, and where they are looked for: by no path that clients can change,
 * or they could put a program of theirs in the place of one that is allowed.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { dirname, isAbsolute, join } from "../../lib/core/paths.ts";

/** Where programs are looked for if the environment says nothing that is of use. */
const USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How many symbolic links a path may lead over; as on Linux. */
const MAX_LINKS = 40;

/** What {@linkcode Programs} are found by. */
export interface ProgramsOptions {
  /** The search path of this program, `PATH`. */
  path: string | undefined;
  /** The directory that clients write to; undefined where there is none on this machine. */
  root: string | undefined;
}

/** The programs that may be started. */
export class Programs {
  readonly #root: Deno.FileInfo | undefined;
  readonly #directories: readonly string[];
  /** The parts of the search path that lie in the root: they only serve to say so. */
  readonly #left: readonly string[];

  /**
   * Decides which directories are searched.
   *
   * @throws {FerryError} `usage` where none is left
   */
  constructor({ path = "", root }: ProgramsOptions) {
    this.#root = root === undefined ? undefined : Deno.statSync(root);
    // An empty part of PATH stands for the working directory, as does one that is not absolute.
    const parts = path.split(":").filter((part) => isAbsolute(part));
    const usual = USUAL_PATH.split(":");
    this.#directories = [parts, usual].map((some) => some.filter((part) => !this.inReach(part)))
      .find(({ length }) => length > 0) ?? [];
    this.#left = [...parts, ...usual].filter((part) => this.inReach(part));
    if (this.#directories.length > 0) return;
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
    const found = this.#named(name, this.#directories) ?? this.#named(name, this.#left);
    const reason = found === undefined
      ? noProgram(name)
      : this.inReach(found)
      ? `${quote(found)} leads through the directory that is served, where clients could replace ` +
        "it: move the program elsewhere, or serve another directory"
      : undefined;
    if (reason === undefined) return found!;
    throw new FerryError("usage", reason, { action: `allow the command ${quote(name)}` });
  }

  /** The path of a program that the server has a use for, where Deno may run it. */
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
    if (!this.#root) return false;
    let at = "/";
    let links = 0;
    if (this.#isRoot(Deno.statSync(at))) return true;
    for (const parts = path.split("/").reverse(); parts.length > 0;) {
      const part = parts.pop()!;
      if (part === "..") at = dirname(at);
      if (part === "" || part === "." || part === "..") continue;
      const next = join(at, part);
      try {
        const info = Deno.lstatSync(next);
        if (this.#isRoot(info)) return true;
        if (!info.isSymlink) {
          at = next;
          continue;
        }
        if (++links > MAX_LINKS) return true;
        const target = Deno.readLinkSync(next);
        if (isAbsolute(target)) at = "/";
        parts.push(...target.split("/").reverse());
      } catch (error) {
        // Clients cannot put anything there either.
        return !(error instanceof Deno.errors.NotFound);
      }
    }
    return false;
  }

  /** By what it is, not by its name: the same directory may be mounted elsewhere. */
  #isRoot({ dev, ino }: Deno.FileInfo): boolean {
    return dev === this.#root?.dev && ino === this.#root.ino;
  }
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
