/**
 * The real programs as processes, for tests, the demo and the benchmarks.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { type Program, PROGRAMS, PROJECT, runtimeFlags } from "../../packaging/program.ts";
import { type Bundled, bundledEntry, ENTRIES } from "./bundled_programs.ts";
import { text } from "./bytes.ts";
import { runInHost } from "./host_pool.ts";

export { PROJECT };

/** Whether the programs are run from their sources even where bundles would do. */
const FROM_SOURCES = Deno.env.get("FERRY_PROGRAMS") === "sources";

/** The path of Deno. */
export const DENO = Deno.execPath();

/** Whether directories can be held open here. In Deno 2.4, node:fs has no real file descriptors. */
export const HOLDS_DIRECTORIES: boolean = Deno.build.os === "linux" &&
  !Deno.version.deno.startsWith("2.4.");

/** How a program is started: the command and the arguments that precede the program's own. */
export type Launch = (
  program: Program["name"],
  options: { runsCommands: boolean },
) => readonly [command: string, ...args: string[]];

/** Options of {@linkcode programArgs}. */
export interface ProgramOptions {
  /** Whether it is a `ferryd` that runs commands, which has another task in deno.json. */
  runsCommands?: boolean;
  /** Another deno.json; the program is then run from its sources. */
  config?: string;
  /** Whether it is run from its sources instead of a bundle. */
  fromSources?: boolean;
}

/** The arguments with which Deno runs a program with the permissions of its task, and no more. */
export function programArgs(
  program: Program["name"],
  { runsCommands = false, ...from }: ProgramOptions = {},
): string[] {
  const spec = PROGRAMS.find(({ name }) => name === program)!;
  const permissions = program === "ferryd" && !runsCommands ? "ferryd-files" : spec.permissions;
  return entryArgs(program, { ...spec, permissions }, from);
}

/** The arguments with which Deno runs a file. */
function entryArgs(
  name: Bundled,
  spec: Pick<Program, "permissions" | "v8Flags">,
  { config, fromSources = config !== undefined }: Omit<ProgramOptions, "runsCommands"> = {},
): string[] {
  const path = config ?? `${PROJECT}deno.json`;
  const flags = runtimeFlags(spec, JSON.parse(Deno.readTextFileSync(path)));
  return fromSources || FROM_SOURCES
    ? ["run", "--quiet", "--config", path, ...flags, PROJECT + ENTRIES[name]]
    : ["run", "--quiet", "--no-config", ...flags, bundledEntry(name)];
}

/** Starts a program with this Deno. */
const byDeno: Launch = (program, options) => [DENO, ...programArgs(program, options)];

/** The output and the exit status of a program. */
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
  /** Whether its standard input is a pipe. Default: `null`. */
  stdin?: "null" | "piped";
  /** How it is started. Default: by this Deno. */
  launch?: Launch;
  /** Whether its environment contains only `env`. */
  clearEnv?: boolean;
}

/** Options of {@linkcode ferry}. */
export interface FerryRunOptions extends FerryOptions {
  /**
   * Whether it has a process of its own. Default: whether one of the other options needs that; otherwise it is run by a
   * process that runs many command lines, which takes a tenth of the time.
   */
  ownProcess?: boolean;
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
export async function ferry(args: string[], options: FerryRunOptions = {}): Promise<Outcome> {
  const { cwd = Deno.cwd(), server, env = {}, launch, clearEnv, stdin } = options;
  const onlyOptions = Object.keys(env).every((name) => name.startsWith("FERRY_"));
  const special = launch !== undefined || clearEnv || stdin === "piped" || !onlyOptions;
  if (options.ownProcess ?? (special || Deno.build.os === "windows")) {
    return await outcome(spawnFerry(args, options));
  }
  const all = { ...(server === undefined ? {} : { FERRY_SERVER: server }), ...env };
  return await runInHost({ argv: args, cwd, env: all }, startHost);
}

/** The command that starts a process for {@linkcode ferry}. It has the permissions of `ferry`. */
function startHost(): [command: string, ...args: string[]] {
  return [DENO, ...entryArgs("ferryHost", PROGRAMS.find(({ name }) => name === "ferry")!)];
}

/** Runs a command of `ferryd` that does not serve, and waits for its end. */
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
 * Runs a TypeScript program to its end, with the imports and the permissions of the tests.
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

/** Waits for a program and returns its output as text. */
export async function outcome(child: Deno.ChildProcess): Promise<Outcome> {
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** How long a server that is started in the background may take on a busy machine, in milliseconds. */
const START_MS = 120_000;

/** Whether a `ferryd` with these arguments runs commands. */
function mayRunCommands(args: readonly string[]): boolean {
  return args.some((arg) => /^--(allow|classic|before|on)-/.test(arg));
}

/** Whether a `ferryd` that has printed this is ready. */
function isReady(said: string): boolean {
  return /^ferryd: ready$/m.test(said);
}

/** `HOST:PORT` of each listener, by kind, in what a `ferryd` has printed. */
function listenersIn(said: string): Map<string, string> {
  const lines = said.matchAll(/^ferryd: listening (\S+) (\S+)$/gm);
  return new Map([...lines].map(([, kind, address]) => [kind!, address!]));
}

/** A `ferryd` process. */
export class Ferryd implements AsyncDisposable {
  readonly #child: Pick<Deno.ChildProcess, "pid" | "kill" | "status">;
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
    child: Pick<Deno.ChildProcess, "pid" | "kill" | "status">,
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

  /** Starts a server over `root` on a free port and waits until it is ready. */
  static async start(
    root: string,
    args: string[] = [],
    { launch = byDeno, env = {}, clearEnv = false }: Pick<
      FerryOptions,
      "launch" | "env" | "clearEnv"
    > = {},
  ): Promise<Ferryd> {
    const [command, ...before] = launch("ferryd", { runsCommands: mayRunCommands(args) });
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
    let said = "";
    while (!isReady(said)) {
      const { value, done } = await lines.read();
      if (done) {
        await child.status;
        throw new Error(`ferryd did not start: ${await stderr}`);
      }
      said += `${value}\n`;
    }
    const listening = listenersIn(said);
    const rest = (async () => {
      while (!(await lines.read()).done);
    })();
    return new Ferryd(child, { root, listening, stderr, rest });
  }

  /**
   * Starts a server that all tests of a file can use, and that ends with the last of them. A shell starts it in the
   * background, for a child process that outlives a test would be one that the test has forgotten.
   */
  static async inBackground(root: string, args: string[] = []): Promise<Ferryd> {
    const dir = Deno.makeTempDirSync({ prefix: "ferryd-" });
    const [command, ...before] = byDeno("ferryd", { runsCommands: mayRunCommands(args) });
    const all = [command, ...before, "--root", root, "--listen", "127.0.0.1:0", ...args];
    using watcher = Deno.watchFs(dir);
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", '"$@" </dev/null >"$OUT/out" 2>"$OUT/err" & echo $!', "sh", ...all],
      env: { OUT: dir },
      stdin: "null",
    }).output();
    const pid = Number(text(stdout));
    const kill = () => Deno.kill(pid, "SIGKILL");
    addEventListener("unload", () => {
      kill();
      Deno.removeSync(dir, { recursive: true });
    });
    const said = () => Deno.readTextFileSync(`${dir}/out`);
    const timer = setTimeout(() => watcher.close(), START_MS);
    if (!isReady(said())) { for await (const _ of watcher) if (isReady(said())) break; }
    clearTimeout(timer);
    if (!isReady(said())) throw new Error(Deno.readTextFileSync(`${dir}/err`));
    const never = new Promise<never>(() => {});
    const child = {
      pid,
      kill,
      get status(): Promise<never> {
        throw new Error("other tests need this server: start another one to stop it");
      },
    };
    return new Ferryd(child, { root, listening: listenersIn(said()), stderr: never, rest: never });
  }

  /** The port of the listener of that kind. */
  portOf(kind: string): number {
    return Number(this.listening.get(kind)?.split(":").at(-1));
  }

  /** Sends a signal, waits for the end, and returns the exit status and the log. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<{ code: number; stderr: string }> {
    try {
      this.#child.kill(signal);
    } catch {
      // It has already ended.
    }
    const { code } = await this.#child.status;
    await this.#rest;
    return { code, stderr: await this.#stderr };
  }

  /** Makes it reload its tokens and its certificate. */
  reload(): void {
    this.#child.kill("SIGHUP");
  }

  /** Kills it, if it is still running. */
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

/** The files in the staging area of a root, by their relative paths. */
export function stagedIn(root: string): string[] {
  return filesBelow(`${root}/.ferry/staging`).sort();
}

/** The temporary files below a directory that cannot be resumed: those without a record. */
export function unrecorded(directory: string): string[] {
  const names = filesBelow(directory);
  const recorded = new Set(names.filter((name) => name.endsWith(".json")));
  return names.filter((name) => name.endsWith(".part"))
    .filter((name) => !recorded.has(name.replace(/\.part$/, ".json")));
}

/** A temporary directory, which is removed on disposal. */
export class TempDir implements AsyncDisposable {
  /** Its path. */
  readonly path: string;

  /** Makes a temporary directory in `directory`, or else where the system has them. */
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

  /** Writes a file in it and returns its path. */
  write(name: string, content: string | Uint8Array): string {
    const path = this.join(name);
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  }

  /** Makes a named pipe in it and returns its path. */
  pipe(name: string): string {
    const path = this.join(name);
    const { success } = new Deno.Command("mkfifo", { args: [path] }).outputSync();
    if (!success) throw new Error(`no pipe could be made at ${path}`);
    return path;
  }

  /** Removes it and its content. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
