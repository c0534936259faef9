/**
 * Which commands clients may run, and how they are started.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import type { ExecRequest } from "../../lib/wire/header.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { isAbsolute } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { ProcessGroup } from "./process_group.ts";
import { isPermitted, Programs } from "./program_search.ts";
import { type Limits, RunningCommand } from "./running_command.ts";

/** What a server may be told about the commands that it runs. */
export interface ExecPolicy {
  /** The working directory of the commands. */
  cwd: string;
  /** Commands that may be run, by a name to be found on `PATH` now, or by an absolute path. */
  allow?: readonly string[] | undefined;
  /** Whether lines may be handed to the shell, which is to say that everything may be run. */
  shell?: boolean | undefined;
  /** Milliseconds after which a command is killed; 60000 unless told otherwise. */
  timeout?: number | undefined;
  /** The most bytes of output, both streams together, before a command is killed; 64 MiB unless told otherwise. */
  outputLimit?: number | undefined;
}

/** What commands see of the server's environment, beside `PATH`. */
const ENVIRONMENT = ["HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];

/** Those of them that name directories in which programs look for files to obey. */
const DIRECTORIES: readonly string[] = ["HOME", "TMPDIR"];

/** The commands that clients may run. */
export class Commands {
  readonly #cwd: string;
  readonly #limits: Limits;
  readonly #env: Readonly<Record<string, string>>;
  /** The paths of the commands that are allowed, by the names that clients call them. */
  readonly #paths: ReadonlyMap<string, string>;
  readonly #shell: string | undefined;
  readonly #programs: Programs;
  readonly #setsid: string | undefined;
  readonly #kill: string | undefined;

  /**
   * Looks for the commands.
   *
   * @param root the directory that clients write to: no program is run from there; none unless told otherwise
   * @throws {FerryError} `usage` where a command is not there, is where clients can write to, or has no time, or on
   * Windows; `denied` where Deno may not run it
   */
  constructor(
    { cwd, allow = [], shell = false, timeout = 60_000, outputLimit }: ExecPolicy,
    { root }: { root?: string | undefined } = {},
  ) {
    if (!(timeout >= 1)) {
      throw new FerryError("usage", "a command needs some time: --exec-timeout is more than 0");
    }
    if (!PLATFORM.processGroups) {
      throw new FerryError(
        "usage",
        "on this system they could not be ended with all that they start",
        {
          action: "run commands for clients",
        },
      );
    }
    this.#cwd = cwd;
    this.#limits = {
      timeout: Math.min(timeout, MAX_TIMEOUT_MS),
      outputLimit: outputLimit ?? 64 * 1024 * 1024,
    };
    const programs = this.#programs = new Programs({ path: variable("PATH"), root });
    this.#env = environment(programs);
    this.#paths = new Map(allow.map((name) => [name, programs.find(name)]));
    this.#shell = shell ? programs.find("sh") : undefined;
    // Deno itself sends signals only where it may run every command; else it may run the program that does.
    const mayRunAll = Deno.permissions.querySync({ name: "run" }).state === "granted";
    this.#kill = mayRunAll ? undefined : programs.helper("kill");
    for (const command of [...this.#paths.values(), this.#shell]) {
      if (command === undefined) continue;
      if (!isPermitted(command)) throw lacksPermission(command, command);
      if (!mayRunAll && this.#kill === undefined) throw lacksPermission(command, "kill");
    }
    this.#setsid = programs.helper("setsid");
  }

  /** Whether clients may hand lines to the shell. */
  get hasShell(): boolean {
    return this.#shell !== undefined;
  }

  /**
   * Starts a command.
   *
   * @param stdin whether something will be written to its standard input
   * @param outputLimit the most that it may write, where that is less than all commands may
   * @throws {FerryError} `denied` where it is not allowed; `not_found`, `io`, `busy`
   */
  start(
    request: ExecRequest,
    { stdin, outputLimit = Infinity }: { stdin: boolean; outputLimit?: number },
  ): RunningCommand {
    const { path, args } = this.#resolve(request);
    for (const program of [path, this.#setsid]) {
      if (program === undefined || !this.#programs.inReach(program)) continue;
      // It was not when the server started: somebody has put a link in its place.
      throw new FerryError("denied", `${quote(program)} leads to where clients can write by now`);
    }
    const group = new ProcessGroup({
      path,
      args,
      cwd: this.#cwd,
      env: this.#env,
      stdin,
      setsid: this.#setsid,
      kill: this.#kill,
    });
    return new RunningCommand(group, {
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

/** A variable of this program's environment, where Deno may see it. */
function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** The environment of the commands. */
function environment(programs: Programs): Record<string, string> {
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
