/**
 * Determines which commands clients may run, and starts them.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import type { ExecRequest } from "../../lib/wire/operations/exec.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { Programs } from "./programs.ts";
import type { CommandLimits, RunningCommand } from "./running_command.ts";

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

/** The results of the search from which an {@linkcode AllowedCommands} is made. */
interface FoundCommands {
  programs: Programs;
  limits: CommandLimits;
  paths: ReadonlyMap<string, string>;
  shell: string | undefined;
}

/** The commands that clients may run. */
export class AllowedCommands {
  readonly #programs: Programs;
  readonly #limits: CommandLimits;
  /** The paths of the allowed commands, by the names that clients use. */
  readonly #paths: ReadonlyMap<string, string>;
  readonly #shell: string | undefined;

  private constructor({ programs, limits, paths, shell }: FoundCommands) {
    this.#programs = programs;
    this.#limits = limits;
    this.#paths = paths;
    this.#shell = shell;
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
    const programs = Programs.over({ cwd, root, purpose: "run commands for clients" });
    const find = (name: string) => programs.find(name, `allow the command ${quote(name)}`);
    return new AllowedCommands({
      programs,
      limits: {
        timeout: Math.min(timeout, MAX_TIMEOUT_MS),
        outputLimit: outputLimit ?? 64 * 1024 * 1024,
      },
      paths: new Map(allow.map((name) => [name, find(name)])),
      shell: shell ? find("sh") : undefined,
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
    return this.#programs.start({ ...this.#resolve(request), stdin }, {
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
