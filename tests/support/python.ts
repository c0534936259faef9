/**
 * The Python peers of fixtures/, as processes.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { text } from "./bytes.ts";
import { type Outcome, outcome, PROJECT } from "./programs.ts";

interface PythonOptions {
  cwd?: string;
  stdin?: "null" | "piped";
  env?: Record<string, string>;
}

/** Starts one of the scripts. */
export function spawnPython(
  script: string,
  args: string[],
  options: PythonOptions = {},
): Deno.ChildProcess {
  return spawn([`${PROJECT}fixtures/${script}`, ...args], options);
}

/** The path of the interpreter, once it is known. */
let interpreter: string | undefined;

/** Finds the interpreter: `python3` may be a script that looks for it, which takes longer than to start it. */
function findPython(): string {
  const args = ["-c", "import sys; print(sys.executable)"];
  try {
    return text(new Deno.Command("python3", { args, stdin: "null" }).outputSync().stdout).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      "This test needs a program python3, Python 3.9 or newer, and there is none. " +
        "Install the package python3 (Debian, Ubuntu, Fedora, Alpine) or python (Homebrew, Arch).",
      { cause: error },
    );
  }
}

function spawn(
  args: string[],
  { cwd = PROJECT, stdin = "null", env = {} }: PythonOptions,
): Deno.ChildProcess {
  return new Deno.Command(interpreter ??= findPython(), {
    args: ["-B", ...args],
    cwd,
    env,
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs a script from a string, with text on its standard input. */
export async function runPython(script: string, input: string): Promise<Outcome> {
  const child = spawn(["-c", script], { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  return await outcome(child);
}

/** Runs a script with arguments, and an empty standard input. */
export function runPythonFile(path: string, args: string[]): Promise<Outcome> {
  return outcome(spawn([path, ...args], {}));
}

/** A classic_*_server.py, which first prints the address that it listens on. */
export class PythonListener implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  /** `127.0.0.1:PORT` */
  readonly address: string;

  private constructor(
    child: Deno.ChildProcess,
    lines: ReadableStreamDefaultReader<string>,
    address: string,
  ) {
    this.#child = child;
    this.#lines = lines;
    this.address = address;
  }

  /** Starts one on a free port. */
  static async start(script: string): Promise<PythonListener> {
    const child = spawnPython(script, ["127.0.0.1", "0"]);
    const lines = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    const { value } = await lines.read();
    const address = /^listening (127\.0\.0\.1:\d+)$/.exec(value ?? "")?.[1];
    if (address === undefined) throw new Error(await new Response(child.stderr).text());
    return new PythonListener(child, lines, address);
  }

  /** The next line that it prints. */
  async says(): Promise<string> {
    return (await this.#lines.read()).value ?? "";
  }

  /** Kills it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    while (!(await this.#lines.read()).done);
    await this.#child.stderr.cancel();
    await this.#child.status;
  }
}

/** Runs a Python client with text on its standard input. */
export async function talkPython(script: string, address: string, input: string): Promise<Outcome> {
  const child = spawnPython(script, address.split(":"), { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  return await outcome(child);
}
