/**
 * The programs that a server runs: it looks them up where clients cannot write, and starts each with few variables, in a
 * process group that is ended as a whole.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { isAbsolute } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { ProcessGroup } from "./process_group.ts";
import { isPermitted, ProgramSearch } from "./program_search.ts";
import { type CommandLimits, RunningCommand } from "./running_command.ts";

/** The variables that programs inherit from the server's environment, besides `PATH`. */
const ENVIRONMENT = ["HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];

/** Those of these variables that name directories in which programs look for configuration files. */
const DIRECTORIES: readonly string[] = ["HOME", "TMPDIR"];

/** Options of {@linkcode Programs.over}. */
export interface ProgramsOptions {
  /** The working directory of the programs. */
  readonly cwd: string;
  /** The directory that clients write to; undefined if there is none on this machine. */
  readonly root: string | undefined;
  /** What they are run for, worded to follow "Cannot" in error messages. */
  readonly purpose: string;
}

/** What to start. */
export interface ProgramStart {
  /** The path of the program, as {@linkcode Programs.find} has returned it. */
  readonly path: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Whether data will be written to its standard input. If not, standard input is empty. */
  readonly stdin: boolean;
}

/** Finds and starts programs. */
export class Programs {
  readonly #search: ProgramSearch;
  readonly #cwd: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #setsid: string | undefined;
  /** The path of the program that sends signals; undefined if Deno does. */
  readonly #kill: string | undefined;
  /** Whether signals can be sent. */
  readonly #canKill: boolean;

  private constructor(search: ProgramSearch, cwd: string) {
    // Deno can send signals only if it may run every command; otherwise the program `kill` sends them.
    const mayRunAll = Deno.permissions.querySync({ name: "run" }).state === "granted";
    this.#search = search;
    this.#cwd = cwd;
    this.#env = environment(search);
    this.#setsid = search.helper("setsid");
    this.#kill = mayRunAll ? undefined : search.helper("kill");
    this.#canKill = mayRunAll || this.#kill !== undefined;
  }

  /**
   * Decides where programs are looked for.
   *
   * @throws {FerryError} `usage` if clients can write to all directories with programs, or on Windows
   */
  static over({ cwd, root, purpose }: ProgramsOptions): Programs {
    if (!PLATFORM.processGroups) {
      const reason = "on this system they could not be ended with all that they start";
      throw new FerryError("usage", reason, { action: purpose });
    }
    try {
      return new Programs(ProgramSearch.over({ path: variable("PATH"), root }), cwd);
    } catch (error) {
      throw error instanceof FerryError ? error.during(purpose) : error;
    }
  }

  /**
   * Finds a program that Deno may run.
   *
   * @param name a name to be found in the search path, or an absolute path
   * @param action what it is looked for, worded to follow "Cannot" in error messages
   * @throws {FerryError} `usage` if there is none, or clients can replace it; `denied` if Deno may not run it
   */
  find(name: string, action: string): string {
    try {
      const path = this.#search.find(name);
      if (!isPermitted(path)) throw lacksPermission(path);
      if (!this.#canKill) throw lacksPermission("kill");
      return path;
    } catch (error) {
      throw error instanceof FerryError ? error.during(action) : error;
    }
  }

  /** Whether clients may be able to change where an absolute path leads; see {@linkcode ProgramSearch.inReach}. */
  inReach(path: string): boolean {
    return this.#search.inReach(path);
  }

  /**
   * Starts a program.
   *
   * @throws {FerryError} `denied` if clients can replace it by now; `not_found`, `io`, `busy`
   */
  start({ path, args, stdin }: ProgramStart, limits: CommandLimits): RunningCommand {
    for (const program of [path, this.#setsid]) {
      if (program === undefined || !this.inReach(program)) continue;
      // Clients could not write there when the server started: it has been replaced by a link since.
      throw new FerryError(
        "denied",
        `${quote(program)} leads to a place that clients can write to by now`,
      );
    }
    const group = ProcessGroup.start({
      ...{ path, args, stdin },
      cwd: this.#cwd,
      env: this.#env,
      setsid: this.#setsid,
      kill: this.#kill,
    });
    return RunningCommand.watch(group, limits);
  }
}

/** A variable of this program's environment, if Deno may read it. */
function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** The environment of the programs. */
function environment(search: ProgramSearch): Record<string, string> {
  const env: Record<string, string> = { PATH: search.path };
  for (const name of ENVIRONMENT) {
    const value = variable(name);
    if (value === undefined) continue;
    if (DIRECTORIES.includes(name) && (!isAbsolute(value) || search.inReach(value))) continue;
    env[name] = value;
  }
  return env;
}

function lacksPermission(needed: string): FerryError {
  return new FerryError(
    "denied",
    `Deno was started without the permission to run ${quote(needed)}: ` +
      "start it with --allow-run, or ferryd with deno task serve:exec",
  );
}
