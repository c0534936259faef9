/**
 * The real programs as processes, for tests, the demo and the benchmarks.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { type Program, PROGRAMS, PROJECT, runtimeFlags } from "../../packaging/program.ts";
import { bundledEntry } from "./bundled_programs.ts";
import { text } from "./bytes.ts";

export { PROJECT };

/** Whether the programs are run from their sources where bundles would do. */
const FROM_SOURCES = Deno.env.get("FERRY_PROGRAMS") === "sources";

/** The program that runs them. */
export const DENO = Deno.execPath();

/** Whether directories can be held open here: in Deno 2.4 node:fs has no descriptors of the system. */
export const HOLDS_DIRECTORIES: boolean = Deno.build.os === "linux" &&
  !Deno.version.deno.startsWith("2.4.");

/** How a program is started: a command and what stands in front of the program's own arguments. */
export type Launch = (
  program: Program["name"],
  options: { runsCommands: boolean },
) => readonly [command: string, ...args: string[]];

/** How {@linkcode programArgs} runs a program. */
export interface ProgramOptions {
  /** Whether it is a `ferryd` that runs commands, which has a task of its own. */
  runsCommands?: boolean;
  /** Another deno.json, with which it is run from its sources. */
  config?: string;
  /** Whether it is run from its sources, in place of a bundle of them. */
  fromSources?: boolean;
}

/** What Deno is given to run a program with the permissions that its task has, and no more. */
export function programArgs(
  program: Program["name"],
  { runsCommands = false, config, fromSources = config !== undefined }: ProgramOptions = {},
): string[] {
  const { entry, permissions: most, ...rest } = PROGRAMS.find(({ name }) => name === program)!;
  const permissions = program === "ferryd" && !runsCommands ? "ferryd-files" : most;
  const path = config ?? `${PROJECT}deno.json`;
  const flags = runtimeFlags({ ...rest, permissions }, JSON.parse(Deno.readTextFileSync(path)));
  return fromSources || FROM_SOURCES
    ? ["run", "--quiet", "--config", path, ...flags, PROJECT + entry]
    : ["run", "--quiet", "--no-config", ...flags, bundledEntry(program)];
}

/** By this Deno. */
const byDeno: Launch = (program, options) => [DENO, ...programArgs(program, options)];

/** What a program printed and how it ended. */
export interface Outcome {
  /** The exit status. */
  code: number;
  /** Standard output. */
  stdout: string;
  /** Standard error. */
  stderr: string;
}

/** Options of {@linkcode ferry} and {@linkcode spawnFerry}. */
export interface FerryOptions {
  /** The working directory. */
  cwd?: string;
  /** The server, `HOST:PORT`. */
  server?: string;
  /** Further variables of the environment. */
  env?: Record<string, string>;
  /** Whether something is to be written to its standard input. */
  stdin?: "null" | "piped";
  /** How it is started; by this Deno unless told otherwise. */
  launch?: Launch;
  /** Whether it is given no environment but `env`. */
  clearEnv?: boolean;
}

/** Starts `ferry` and does not wait for it. */
export function spawnFerry(args: string[], options: FerryOptions = {}): Deno.ChildProcess {
  const { cwd, server, env = {}, stdin = "null", launch = byDeno, clearEnv = false } = options;
  const [command, ...before] = launch("ferry", { runsCommands: false });
  return new Deno.Command(command, {
    args: [...before, ...args],
    clearEnv,
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...(server === undefined ? {} : { FERRY_SERVER: server }), ...env },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `ferry` to its end. */
export async function ferry(args: string[], options: FerryOptions = {}): Promise<Outcome> {
  return await outcome(spawnFerry(args, options));
}

/** Runs `ferryd` to its end: one of its commands that does not serve. */
export async function ferryd(
  args: string[],
  { runsCommands = false, ...options }: { cwd?: string; runsCommands?: boolean } = {},
): Promise<Outcome> {
  const child = new Deno.Command(DENO, {
    args: [...programArgs("ferryd", { runsCommands }), ...args],
    ...options,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return await outcome(child);
}

/**
 * Runs a program in TypeScript to its end, with the imports and the permissions of the tests.
 */
export async function runSource(
  source: string,
  env: Record<string, string> = {},
): Promise<Outcome> {
  const child = new Deno.Command(DENO, {
    args: ["run", "--quiet", "--no-check", "--config", `${PROJECT}deno.json`, "-P=programs", "-"],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  return await outcome(child);
}

/** Waits for a program and gives what it printed as text. */
export async function outcome(child: Deno.ChildProcess): Promise<Outcome> {
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** A `ferryd` that runs as a process of its own. */
export class Ferryd implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  readonly #rest: Promise<void>;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** The port. */
  readonly port: number;
  /** The process. */
  readonly pid: number;
  /** The directory that it serves. */
  readonly root: string;
  /** `HOST:PORT` of each listener, by kind. */
  readonly listening: ReadonlyMap<string, string>;

  private constructor(
    child: Deno.ChildProcess,
    { root, listening, stderr, rest }: {
      root: string;
      listening: ReadonlyMap<string, string>;
      stderr: Promise<string>;
      rest: Promise<void>;
    },
  ) {
    this.#child = child;
    this.#stderr = stderr;
    this.#rest = rest;
    this.pid = child.pid;
    this.root = root;
    this.listening = listening;
    this.address = listening.get("tcp") ?? listening.get("tls") ?? "";
    this.port = this.portOf("tcp");
  }

  /** Starts one over `root` on a free port and waits until it is ready. */
  static async start(
    root: string,
    args: string[] = [],
    { launch = byDeno, env = {}, clearEnv = false }: Pick<
      FerryOptions,
      "launch" | "env" | "clearEnv"
    > = {},
  ): Promise<Ferryd> {
    const [command, ...before] = launch("ferryd", {
      runsCommands: args.some((arg) => /^--(allow|classic)-/.test(arg)),
    });
    const child = new Deno.Command(command, {
      args: [...before, "--root", root, "--listen", "127.0.0.1:0", ...args],
      env,
      clearEnv,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    const lines = child.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
    const listening = new Map<string, string>();
    for (;;) {
      const { value, done } = await lines.read();
      if (done) {
        await child.status;
        throw new Error(`ferryd did not start: ${await stderr}`);
      }
      const [, kind, address] = /^ferryd: listening (\S+) (\S+)$/.exec(value) ?? [];
      if (kind !== undefined && address !== undefined) listening.set(kind, address);
      if (value === "ferryd: ready") break;
    }
    const rest = (async () => {
      while (!(await lines.read()).done);
    })();
    return new Ferryd(child, { root, listening, stderr, rest });
  }

  /** The port of the listener of that kind. */
  portOf(kind: string): number {
    return Number(this.listening.get(kind)?.split(":").at(-1));
  }

  /** Sends a signal and waits for the end; gives the exit status and the log. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<{ code: number; stderr: string }> {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
    const { code } = await this.#child.status;
    await this.#rest;
    return { code, stderr: await this.#stderr };
  }

  /** Tells it to read its tokens and its certificate anew. */
  reload(): void {
    this.#child.kill("SIGHUP");
  }

  /** Kills it, unless it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }
}

/** The files below a directory, by their paths in it. */
export function filesBelow(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(`${directory}/${name}`).map((below) => `${name}/${below}`) : [name]
  );
}

/** What stands in the staging area of a root, by its paths there. */
export function stagedIn(root: string): string[] {
  return filesBelow(`${root}/.ferry/staging`).sort();
}

/** The temporary files below a directory that are not kept to be gone on with: those without a record. */
export function unrecorded(directory: string): string[] {
  const names = filesBelow(directory);
  const recorded = new Set(names.filter((name) => name.endsWith(".json")));
  return names.filter((name) => name.endsWith(".part"))
    .filter((name) => !recorded.has(name.replace(/\.part$/, ".json")));
}

/** A temporary directory that is removed in the end. */
export class TempDir implements AsyncDisposable {
  /** Its path. */
  readonly path: string;

  /** Makes one, in a certain directory or where the system has them. */
  constructor(directory?: string) {
    this.path = Deno.makeTempDirSync({
      prefix: "ferry-",
      ...(directory ? { dir: directory } : {}),
    });
  }

  /** A path in it. */
  join(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Writes a file in it and gives the path. */
  write(name: string, content: string | Uint8Array): string {
    const path = this.join(name);
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  }

  /** Makes a named pipe in it and gives the path. */
  pipe(name: string): string {
    const path = this.join(name);
    const { success } = new Deno.Command("mkfifo", { args: [path] }).outputSync();
    if (!success) throw new Error(`no pipe could be made at ${path}`);
    return path;
  }

  /** Removes it and what is in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
