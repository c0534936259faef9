/**
 * A program that is run before or after uploads: it gets JSON on its standard input, and answers by its exit status.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { split } from "shlex";
import { escapeControls, FerryError, quote } from "../../lib/core/errors.ts";
import type { ExecEnd } from "../../lib/wire/operations/exec.ts";
import type { Programs } from "../exec/programs.ts";

/** The maximum output of a run, in bytes. A program that writes more is killed. */
const OUTPUT_LIMIT = 1024 * 1024;

/** How much of the output is kept for the log, in characters. */
const KEPT_OUTPUT = 4096;

/** The longest line of output that becomes a part of a message, in characters. */
const MAX_LINE = 200;

const logger = getLogger(["ferry", "server"]);

/** Options of {@linkcode HookCommand.find}. */
export interface HookCommandOptions {
  /** The option that names it: `on-stored`. */
  readonly option: string;
  /** Milliseconds after which it is killed, with all that it has started. */
  readonly timeout: number;
}

/** How a run has ended. */
export interface HookEnd {
  /** Why it has failed; undefined if its exit status is 0. */
  readonly failure: string | undefined;
  /** Whether it has decided by itself to end with another exit status. */
  readonly refused: boolean;
  /** The first line of its output, on standard output or else on standard error; "" without output. */
  readonly line: string;
}

/** A program with its arguments. */
export class HookCommand {
  readonly #programs: Programs;
  readonly #path: string;
  readonly #args: readonly string[];
  readonly #options: HookCommandOptions;

  private constructor(
    programs: Programs,
    [path, ...args]: [path: string, ...args: string[]],
    options: HookCommandOptions,
  ) {
    this.#programs = programs;
    this.#path = path;
    this.#args = args;
    this.#options = options;
  }

  /**
   * Finds the program of a command line.
   *
   * @param line words, which may be quoted as in a shell; nothing in them is expanded
   * @throws {FerryError} `usage` if there is no such program, or clients can replace it; `denied` if it may not be run
   */
  static find(line: string, programs: Programs, options: HookCommandOptions): HookCommand {
    const [name, ...args] = wordsOf(line, options.option);
    const path = programs.find(name, `run the command of --${options.option}`);
    return new HookCommand(programs, [path, ...args], options);
  }

  /**
   * Runs it to its end.
   *
   * @param input what it gets as JSON
   * @param signal kills it when aborted
   * @throws {FerryError} why it could not be run to its end; `too_large` if it has written too much
   */
  async run(input: unknown, signal?: AbortSignal): Promise<HookEnd> {
    const { option, timeout } = this.#options;
    await using running = this.#programs.start(
      { path: this.#path, args: this.#args, stdin: true },
      { timeout, outputLimit: OUTPUT_LIMIT },
    );
    const abort = () => running.abort(new FerryError("closed", "ferryd is being stopped"));
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    try {
      const bytes = new TextEncoder().encode(`${JSON.stringify(input)}\n`);
      // It may end without reading that.
      void running.write(bytes).then(() => running.closeInput());
      const texts = { stdout: new OutputStart(), stderr: new OutputStart() };
      const output = running.output();
      let next = await output.next();
      while (!next.done) {
        texts[next.value.stream].add(next.value.bytes);
        next = await output.next();
      }
      const { stdout, stderr } = texts;
      for (const { text } of [stdout, stderr]) {
        if (text !== "") logger.debug("The command of --{option} says: {text}", { option, text });
      }
      const line = stdout.firstLine || stderr.firstLine;
      return { ...judge(next.value, { timeout, line }), line };
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }
}

function judge(
  { exit_code, signal, timed_out }: ExecEnd,
  { timeout, line }: { timeout: number; line: string },
): Pick<HookEnd, "failure" | "refused"> {
  if (timed_out) return { failure: `it took longer than ${timeout / 1000} s`, refused: false };
  if (signal !== null) return { failure: `${signal} ended it`, refused: false };
  if (exit_code === 0) return { failure: undefined, refused: false };
  const says = line === "" ? "" : `: ${line}`;
  return { failure: `it ended with exit status ${exit_code}${says}`, refused: true };
}

/**
 * The words of a command line.
 *
 * @throws {FerryError} `usage`
 */
function wordsOf(line: string, option: string): [name: string, ...args: string[]] {
  let words: string[];
  try {
    words = split(line);
  } catch {
    throw new FerryError("usage", `--${option} has a quote without an end: ${quote(line)}`);
  }
  const [name, ...args] = words;
  if (name) return [name, ...args];
  throw new FerryError("usage", `--${option} takes a program and its arguments`);
}

/** The first characters of an output. */
class OutputStart {
  readonly #decoder = new TextDecoder();
  text = "";

  add(bytes: Uint8Array): void {
    if (this.text.length >= KEPT_OUTPUT) return;
    this.text += this.#decoder.decode(bytes, { stream: true }).slice(0, KEPT_OUTPUT);
  }

  /** The first line that is not empty, as it may be shown. */
  get firstLine(): string {
    const line = /\S.*/.exec(this.text)?.[0].trimEnd() ?? "";
    return escapeControls(line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line);
  }
}
