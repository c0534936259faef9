/**
 * Which commands clients may run, and how they are started.
 *
 * @module
 */

import { FerryError, quote } from "../lib/errors.ts";
import { type ExecRequest, MAX_TIMEOUT_MS } from "../lib/header.ts";
import { isAbsolute, join } from "../lib/path.ts";
import { PLATFORM } from "../lib/platform.ts";
import { ProcessGroup } from "./process_group.ts";
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

/** What commands see of the server's environment. */
const ENVIRONMENT = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
];

/** Where commands are looked for if the environment does not say, or says nothing. */
const USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The commands that clients may run. */
export class Commands {
  readonly #cwd: string;
  readonly #limits: Limits;
  readonly #env: Readonly<Record<string, string>>;
  /** The paths of the commands that are allowed, by the names that clients call them. */
  readonly #paths: ReadonlyMap<string, string>;
  readonly #shell: string | undefined;
  readonly #setsid: string | undefined;

  /**
   * Looks for the commands.
   *
   * @throws {FerryError} `usage` where a command is not there, or has no time, or on Windows; `denied` where Deno may not run
   * it
   */
  constructor({ cwd, allow = [], shell = false, timeout = 60_000, outputLimit }: ExecPolicy) {
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
    this.#env = environment();
    const path = this.#env.PATH || USUAL_PATH;
    this.#paths = new Map(allow.map((name) => [name, find(name, path)]));
    this.#shell = shell ? find("sh", path) : undefined;
    this.#setsid = findProgram("setsid", path);
    for (const command of [...this.#paths.values(), this.#shell]) {
      if (command !== undefined) assertPermitted(command);
    }
    if (this.#setsid !== undefined && !isPermitted(this.#setsid)) this.#setsid = undefined;
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
    const group = new ProcessGroup({
      path,
      args,
      cwd: this.#cwd,
      env: this.#env,
      stdin,
      setsid: this.#setsid,
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

/** The part of this program's environment that commands see. */
function environment(): Record<string, string> {
  const permitted = (variable: string) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  return Object.fromEntries(
    ENVIRONMENT.filter(permitted).flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function find(name: string, path: string): string {
  const found = findProgram(name, path);
  if (found !== undefined) return found;
  const reason = !name.includes("/")
    ? "there is no such command on PATH"
    : isAbsolute(name)
    ? "there is no such program"
    : "it is neither a name nor an absolute path";
  throw new FerryError("usage", reason, { action: `allow the command ${quote(name)}` });
}

/** The path of a program: itself where it is absolute, else the first of that name on a search path. */
function findProgram(name: string, path: string): string | undefined {
  if (name.includes("/")) return isAbsolute(name) && isProgram(name) ? name : undefined;
  if (name === "") return undefined;
  // An empty part of PATH stands for the working directory, as does one that is not absolute.
  const directories = path.split(":").filter((directory) => isAbsolute(directory));
  return directories.map((directory) => join(directory, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && (mode === null || (mode & 0o111) !== 0);
  } catch {
    return false;
  }
}

function isPermitted(command: string): boolean {
  return Deno.permissions.querySync({ name: "run", command }).state === "granted";
}

function assertPermitted(command: string): void {
  // Groups are killed with the program kill where Deno may not run everything.
  for (const needed of [command, "kill"]) {
    if (isPermitted(needed)) continue;
    throw new FerryError(
      "denied",
      `Deno was started without the permission to run ${quote(needed)}: ` +
        "start it with --allow-run, or ferryd with deno task serve:exec",
      { action: `allow the command ${quote(command)}` },
    );
  }
}
