/**
 * Finds the command that a command line of `ferry` names, runs it, and reports what fails.
 *
 * @module
 */

import { givesFlag } from "../lib/cli/command_line.ts";
import { renderHelp } from "../lib/cli/help.ts";
import type { CommandSpec, OptionTable } from "../lib/cli/command_spec.ts";
import { didYouMean } from "../lib/cli/suggestion.ts";
import { FerryError, quote, toFerryError } from "../lib/core/errors.ts";
import { VERSION } from "../lib/core/version.ts";
import type { Command } from "./cli/command.ts";
import { COMMANDS, CONFIGURABLE, FERRY } from "./cli/commands/all.ts";
import { COMMON } from "./cli/options.ts";
import { PREFIX, runCommand, type RunOptions } from "./cli/run.ts";
import { write } from "./cli/stdio.ts";

const BY_WORD: ReadonlyMap<string, Command> = new Map(
  COMMANDS.map((command) => [command.name.split(" ")[1]!, command]),
);

/** The reason of the abort when the user interrupts a command. */
export class Interruption extends Error {
  /** The exit status that the program has then. */
  readonly exitStatus: number;

  /** An interruption by a signal, which determines the exit status. */
  constructor(exitStatus: number) {
    super("interrupted");
    this.exitStatus = exitStatus;
  }
}

/**
 * Runs a command line and returns the exit status. Failures are printed on standard error.
 *
 * @param begin called with the arguments of the command before it runs, but not for help and versions; returns the
 * environment, and the signal that is aborted with an {@linkcode Interruption} when the user interrupts the program
 */
export async function runProgram(
  argv: readonly string[],
  begin: (argv: readonly string[]) => Pick<RunOptions, "env" | "signal">,
): Promise<number> {
  try {
    return await run(argv, begin);
  } catch (error) {
    return complain(error);
  }
}

async function run(
  argv: readonly string[],
  begin: (argv: readonly string[]) => Pick<RunOptions, "env" | "signal">,
): Promise<number> {
  const [first, ...others] = argv;
  if (["--version", "-V", "version"].includes(first ?? "")) return print(`ferry ${VERSION}\n`);
  const helping = ["--help", "-h", "help"].includes(first ?? "");
  const [word, ...rest] = helping ? others : argv;
  if (word === undefined) {
    if (helping) return print(overview());
    throw new FerryError("usage", "No command was given (see ferry --help)");
  }
  const command = BY_WORD.get(word);
  if (!command) {
    const meant = didYouMean(word, [...BY_WORD.keys(), "help", "version"]);
    throw new FerryError("usage", `There is no command ${quote(word)}${meant} (see ferry --help)`);
  }
  if (helping || givesFlag(command, rest, "help")) {
    return print(renderHelp(command, { prefix: PREFIX, common: commonOptions(command) }));
  }
  const { env, signal } = begin(rest);
  try {
    return await runCommand(command, rest, { configurable: CONFIGURABLE, env, signal });
  } catch (error) {
    if (error instanceof Interruption) {
      const resumes = "no-resume" in command.options;
      const hint = resumes ? "; the same command goes on where it stopped" : "";
      write(Deno.stderr, `ferry: interrupted${hint}\n`);
      return error.exitStatus;
    }
    return complain(error, command.failureStatus);
  }
}

/** The options that a command shares with all commands that connect to a ferryd. */
function commonOptions({ options }: CommandSpec): OptionTable {
  return Object.fromEntries(
    Object.entries(COMMON).filter(([name, option]) => options[name] === option),
  );
}

function overview(): string {
  const width = Math.max(...[...BY_WORD.keys()].map((word) => word.length)) + 2;
  const rows = [...BY_WORD].map(([word, { summary }]) => `  ${word.padEnd(width)}${summary}`);
  const { name, usage, summary } = FERRY;
  return `Usage: ${name} ${usage}

${summary}.

Commands:
${rows.join("\n")}

ferry COMMAND --help, or ferry help COMMAND, tells more of each. ferry --version shows the version.
`;
}

/** Prints an error and returns the exit status. */
function complain(error: unknown, status?: number): number {
  const { message, exitStatus } = toFerryError(error);
  write(Deno.stderr, `ferry: ${message}\n`);
  return status ?? exitStatus;
}

function print(text: string): number {
  write(Deno.stdout, text);
  return 0;
}
