/**
 * Determines which commands clients may run, and starts them.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import type { ExecRequest } from "../../lib/wire/operations/exec.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { isAbsolute } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { ProcessGroup } from "./process_group.ts";
import { isPermitted, ProgramSearch } from "./program_search.ts";
import { type CommandLimits, RunningCommand } from "./running_command.ts";

/** Which commands a server runs for clients. */
export interface ExecPolicy {
  /** The working directory of the commands. */
  cwd: string;
  /**
   * The commands that may be run: names, which are looked up on `PATH` when the server starts, or absolute paths.
   * Default: none.
   */
  allow?: readonly string[] | undefined;
  /** Whether lines may be passed to the shell, which allows everything to be run. Default: false. */
  shell?: boolean | undefined;
  /** Milliseconds after which a command is killed. Default: 60000. */
  timeout?: number | undefined;
  /**
   * The maximum output of a command, both streams together, in bytes. A command that exceeds it is killed. Default:
   * 67108864 (64 MiB).
   */
  outputLimit?: number | undefined;
}

/** The variables that commands inherit from the server's environment, besides `PATH`. */
const ENVIRONMENT = ["HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];

/** Those of these variables that name directories in which programs look for configuration files. */
const DIRECTORIES: readonly string[] = ["HOME", "TMPDIR"];

/** The results of the search from which an {@linkcode AllowedCommands} is made. */
interface FoundCommands {
  cwd: string;
  limits: CommandLimits;
  env: Readonly<Record<string, string>>;
  paths: ReadonlyMap<string, string>;
  shell: string | undefined;
  programs: ProgramSearch;
  setsid: string | undefined;
  kill: string | undefined;
}

/** The commands that clients may run. */
export class AllowedCommands {
  readonly #cwd: string;
  readonly #limits: CommandLimits;
  readonly #env: Readonly<Record<string, string>>;
  /** The paths of the allowed commands, by the names that clients use. */
  readonly #paths: ReadonlyMap<string, string>;
  readonly #shell: string | undefined;
  readonly #programs: ProgramSearch;
  readonly #setsid: string | undefined;
  readonly #kill: string | undefined;

  private constructor(found: FoundCommands) {
    this.#cwd = found.cwd;
    this.#limits = found.limits;
    this.#env = found.env;
    this.#paths = found.paths;
    this.#shell = found.shell;
    this.#programs = found.programs;
    this.#setsid = found.setsid;
    this.#kill = found.kill;
  }

  /**
   * Looks up the commands.
   *
   * @param options.root the directory that clients write to, from which no program is run. Default: undefined, none
   * @throws {FerryError} `usage` if a command is missing, is at a place that clients can write to, or the timeout is 0,
   * or on Windows; `denied` if Deno may not run it
   */
  static find(
    { cwd, allow = [], shell = false, timeout = 60_000, outputLimit }: ExecPolicy,
    { root }: { root?: string | undefined } = {},
  ): AllowedCommands {
    if (!(timeout >= 1)) {
      throw new FerryError("usage", "a command needs some time: --exec-timeout is more than 0");
    }
    if (!PLATFORM.processGroups) {
      const reason = "on this system they could not be ended with all that they start";
      throw new FerryError("usage", reason, { action: "run commands for clients" });
    }
    const programs = ProgramSearch.over({ path: variable("PATH"), root });
    const paths = new Map(allow.map((name) => [name, programs.find(name)]));
    const shellPath = shell ? programs.find("sh") : undefined;
    // Deno can send signals only if it may run every command; otherwise the program `kill` sends them.
    const mayRunAll = Deno.permissions.querySync({ name: "run" }).state === "granted";
    const kill = mayRunAll ? undefined : programs.helper("kill");
    for (const command of [...paths.values(), shellPath]) {
      if (command === undefined) continue;
      if (!isPermitted(command)) throw lacksPermission(command, command);
      if (!mayRunAll && kill === undefined) throw lacksPermission(command, "kill");
    }
    return new AllowedCommands({
      cwd,
      limits: {
        timeout: Math.min(timeout, MAX_TIMEOUT_MS),
        outputLimit: outputLimit ?? 64 * 1024 * 1024,
      },
      env: environment(programs),
      paths,
      shell: shellPath,
      programs,
      setsid: programs.helper("setsid"),
      kill,
    });
  }

  /** Whether clients may pass lines to the shell. */
  get hasShell(): boolean {
    return this.#shell !== undefined;
  }

  /**
   * Starts a command.
   *
   * @param options.stdin whether data will be written to its standard input
   * @param options.outputLimit the maximum output in bytes, if that is less than the policy allows
   * @throws {FerryError} `denied` if it is not allowed; `not_found`, `io`, `busy`
   */
  start(
    request: ExecRequest,
    { stdin, outputLimit = Infinity }: { stdin: boolean; outputLimit?: number },
  ): RunningCommand {
    const { path, args } = this.#resolve(request);
    for (const program of [path, this.#setsid]) {
      if (program === undefined || !this.#programs.inReach(program)) continue;
      // Clients could not write there when the server started: it has been replaced by a link since.
      throw new FerryError(
        "denied",
        `${quote(program)} leads to a place that clients can write to by now`,
      );
    }
    const group = ProcessGroup.start({
      path,
      args,
      cwd: this.#cwd,
      env: this.#env,
      stdin,
      setsid: this.#setsid,
      kill: this.#kill,
    });
    return RunningCommand.watch(group, {
      timeout: Math.min(request.timeout_ms ?? Infinity, this.#limits.timeout),
      outputLimit: Math.min(outputLimit, this.#limits.outputLimit),
    });
  }

  #resolve({ argv, command }: ExecRequest): { path: string; args: readonly string[] } {
    if (command !== undefined) {
      if (this.#shell !== undefined) return { path: this.#shell, args: ["-c", "--", command] };
      throw new FerryError("denied", "the server hands no lines to a shell");
    }
    const [name = "", ...args] = argv ?? [];
    const path = this.#paths.get(name);
    if (path !== undefined) return { path, args };
    throw new FerryError("denied", `the server does not allow the command ${quote(name)}`);
  }
}

/** A variable of this program's environment, if Deno may read it. */
function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** The environment of the commands. */
function environment(programs: ProgramSearch): Record<string, string> {
  const env: Record<string, string> = { PATH: programs.path };
  for (const name of ENVIRONMENT) {
    const value = variable(name);
    if (value === undefined) continue;
    if (DIRECTORIES.includes(name) && (!isAbsolute(value) || programs.inReach(value))) continue;
    env[name] = value;
  }
  return env;
}

function lacksPermission(command: string, needed: string): FerryError {
  return new FerryError(
    "denied",
    `Deno was started without the permission to run ${quote(needed)}: ` +
      "start it with --allow-run, or ferryd with deno task serve:exec",
    { action: `allow the command ${quote(command)}` },
  );
}
