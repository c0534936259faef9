/**
 * Executables of the programs, and isolated directories to run them in.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { PROGRAMS, PROJECT } from "../../packaging/program.ts";
import { hostTarget } from "../../packaging/target.ts";
import {
  DENO,
  ferry,
  type FerryOptions,
  type Launch,
  type Outcome,
  outcome,
  TempDir,
} from "./programs.ts";
import { MIB, utf8 } from "./bytes.ts";
import { writeRandomFile } from "./random_file.ts";

/** Options of {@linkcode compileTask}. */
export interface CompileTaskOptions {
  /** Further variables of the environment. */
  env?: Record<string, string>;
  /** The file that is packed in place of Deno. Default: Deno. */
  deno?: string;
}

/** Runs `deno task compile`. */
export async function compileTask(
  args: string[],
  { env = {}, deno }: CompileTaskOptions = {},
): Promise<Outcome> {
  await using dir = new TempDir();
  const hook = `Deno.execPath = () => ${JSON.stringify(deno)};`;
  const preload = deno === undefined ? [] : [`--preload=${dir.write("hook.js", hook)}`];
  return await outcome(
    new Deno.Command(DENO, {
      args: ["run", "--quiet", "-A", ...preload, `${PROJECT}packaging/main.ts`, ...args],
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/** Executables of both programs. */
export interface Built {
  /** Where they are. */
  dir: string;
  /** The output and exit status of the task. */
  task: Outcome;
}

const built = new Map<string, Promise<Built>>();

/** The executables that the task makes with these options; made once for all tests. */
export function build(...options: string[]): Promise<Built> {
  const key = options.join(" ");
  let building = built.get(key);
  if (!building) {
    const dir = Deno.makeTempDirSync({ prefix: "ferry-built-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
    building = compileTask(["--out", dir, ...options]).then((task) => ({ dir, task }));
    built.set(key, building);
  }
  return building;
}

/** Self-extracting executables, which can be made on every machine. */
export async function buildSelfExtracting(): Promise<Built> {
  const made = await build();
  return made.task.stdout.includes("self-extracting") ? made : await build("--self-extracting");
}

/**
 * Writes an executable that is run at once. Another process writes it: a process that other tests start at that moment
 * inherits the files that are open here until it runs its program, and the system runs no file that is open for writing.
 */
export function writeExecutable(path: string, bytes: Uint8Array): void {
  const written = `${path}.written`;
  Deno.writeFileSync(written, bytes);
  copyExecutable(written, path);
  Deno.removeSync(written);
}

/** Copies an executable that is run at once; see {@linkcode writeExecutable}. */
export function copyExecutable(from: string, to: string): void {
  if (Deno.build.os === "windows") return Deno.copyFileSync(from, to);
  const { success } = new Deno.Command("cp", { args: ["--", from, to] }).outputSync();
  if (!success) throw new Error(`${from} could not be copied to ${to}`);
}

/** A small executable for this machine where there is a known one. It is no base binary for `deno compile`. */
export const NO_BASE_BINARY: string = Deno.build.os === "linux" ? "/bin/true" : DENO;

/** The size of the stand-in for Deno, in bytes. */
const STAND_IN_BYTES = 2 * MIB;

/**
 * Makes the stand-in that is packed in place of Deno, since unpacking Deno each time would mean a hundred megabytes. It
 * is a script that starts Deno, followed by incompressible bytes. Where the variable HELD_AT names a file, the script
 * makes that file and then waits, when the launcher tries whether it runs.
 */
export async function makeStandIn(path: string): Promise<void> {
  await writeRandomFile(path, STAND_IN_BYTES);
  const script = `#!/bin/sh
if [ -n "\$HELD_AT" ] && [ "\$1" = --version ]; then : >"\$HELD_AT"; sleep 1000; fi
exec '${DENO}' "\$@"
exit
`;
  using file = Deno.openSync(path, { write: true });
  file.writeSync(utf8.encode(script));
  Deno.chmodSync(path, 0o755);
}

/** The file name suffix of executables on this machine. */
export const SUFFIX = hostTarget()?.suffix ?? "";

/** A directory that contains only a copy of the executables. */
export class Elsewhere implements AsyncDisposable {
  /** The directory: the executables are in `bin`, and `cwd` is where they run. */
  readonly dir = new TempDir();
  /** How the executables are started. */
  readonly launch: Launch = (program) => [this.dir.join(`bin/${program}${SUFFIX}`)];
  /** The environment: only the directory to unpack to, without PATH, HOME or Deno's cache. */
  readonly env: Record<string, string>;

  /** Copies the executables. */
  constructor({ dir }: Pick<Built, "dir">) {
    for (const name of ["bin", "tmp", "root", "cwd"]) Deno.mkdirSync(this.dir.join(name));
    for (const { name } of PROGRAMS) {
      copyExecutable(`${dir}/${name}${SUFFIX}`, this.dir.join(`bin/${name}${SUFFIX}`));
    }
    this.env = { PATH: "", HOME: "", TMPDIR: this.dir.join("tmp") };
  }

  /** The options for starting the programs there. */
  get options(): FerryOptions {
    const { launch, env } = this;
    return { launch, env, clearEnv: true, cwd: this.dir.join("cwd") };
  }

  /** Runs `ferry`. */
  run(args: string[], options: FerryOptions = {}): Promise<Outcome> {
    return ferry(args, { ...this.options, ...options });
  }

  /** Runs `ferryd`, to its end. */
  runServer(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
    const launch: Launch = (_program, options) => this.launch("ferryd", options);
    return ferry(args, { ...this.options, launch, env: { ...this.env, ...env } });
  }

  /** Removes all of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}

/** The SHA-256 of a file, in hex. */
export function digestOf(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

/** Whether no executables are made for this machine. */
export const ignore = hostTarget() === undefined;
