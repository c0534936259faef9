/**
 * Finds the command that the command line of `ferryd` names, and runs it.
 *
 * @module
 */

import { givesFlag, parseCommandLine, type ParsedCommandLine } from "../../lib/cli/command_line.ts";
import { renderHelp } from "../../lib/cli/help.ts";
import type { CommandSpec, OptionTable } from "../../lib/cli/command_spec.ts";
import { ENVIRONMENT } from "../../lib/cli/permissions.ts";
import { didYouMean } from "../../lib/cli/suggestion.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { VERSION } from "../../lib/core/version.ts";
import type { Command, Voice } from "./command.ts";

/** The prefix of environment variables: `FERRYD_ROOT` sets `--root`, and so on. */
export const PREFIX = "FERRYD";

const VOICE: Voice = {
  print: (line) => print(`${line}\n`),
  tell: (line) => writeAll(Deno.stderr, `ferryd: ${line}\n`),
};

/** The commands of a program. */
export interface Program<Table extends OptionTable> {
  /** Its commands, of one word or two. */
  commands: readonly Command[];
  /** What it does without a command. */
  serve: CommandSpec<Table>;
  /** Runs the program without a command. */
  run(options: ParsedCommandLine<Table>["options"]): Promise<void>;
  /**
   * Only checks the options with which the program would run, for `--check-config`.
   *
   * @param problems what is wrong with them by themselves; where one is, its default is among the options
   */
  check(
    options: ParsedCommandLine<Table>["options"],
    problems: readonly FerryError[],
  ): Promise<void>;
}

/**
 * Runs what a command line names.
 *
 * @throws {FerryError} `usage` if there is no such command; what the command throws
 */
export async function runCommandLine<Table extends OptionTable>(
  given: readonly string[],
  { commands, serve, run, check }: Program<Table>,
): Promise<void> {
  if (given[0] === "version") return printVersion();
  const argv = given[0] === "help" ? [...given.slice(1), "--help"] : given;
  const byWords = new Map(commands.map((command) => [wordsOf(command), command]));
  const [first = "", second = ""] = argv;
  const command = byWords.get(first) ?? byWords.get(`${first} ${second}`);
  if (command) {
    const rest = argv.slice(byWords.has(first) ? 1 : 2);
    const parsed = parse(command, rest, { ...serve.options, ...command.options });
    return parsed && await command.run(parsed.options, parsed.args, VOICE);
  }
  const group = commands.filter((command) => wordsOf(command).startsWith(`${first} `));
  if (group.length > 0) return runGroup(first, second, group);
  if (first !== "" && !first.startsWith("-")) {
    const words = [...byWords.keys()].map((name) => name.split(" ")[0]!);
    const meant = didYouMean(first, [...words, "help", "version"]);
    throw new FerryError(
      "usage",
      `There is no command ${quote(first)}${meant} (see ferryd --help)`,
    );
  }
  if (givesFlag(serve, argv, "version")) return printVersion();
  if (!givesFlag(serve, argv, "check-config")) {
    const parsed = parse(serve, argv, serve.options);
    return parsed && await run(parsed.options);
  }
  const problems: FerryError[] = [];
  const parsed = parse(serve, argv, serve.options, (problem) => problems.push(problem));
  if (parsed) await check(parsed.options, problems);
}

/** `token new` of `ferryd token new`. */
function wordsOf({ name }: CommandSpec): string {
  return name.slice(name.indexOf(" ") + 1);
}

/** Handles a word that is only the beginning of command names, such as `token`: lists these commands. */
function runGroup(word: string, second: string, group: readonly Command[]): void {
  const words = group.map((command) => wordsOf(command).slice(word.length + 1));
  if (["", "--help", "-h"].includes(second)) {
    const rows = group.map(({ name, summary }) => `  ${name.padEnd(20)}  ${summary}`);
    return print(`Usage: ferryd ${word} ${words.join("|")}

${rows.join("\n")}

${group[0]!.name} --help tells more, and so on.
`);
  }
  const meant = didYouMean(second, words);
  throw new FerryError(
    "usage",
    `There is no ferryd ${word} ${quote(second)}${meant} (see ferryd --help)`,
  );
}

/** Parses options and arguments. If the help text was requested, prints it and returns undefined. */
function parse<Table extends OptionTable>(
  spec: CommandSpec<Table>,
  argv: readonly string[],
  configurable: OptionTable,
  report?: (problem: FerryError) => void,
): ParsedCommandLine<Table> | undefined {
  if (givesFlag(spec, argv, "help")) {
    print(renderHelp(spec, { prefix: PREFIX }));
    return undefined;
  }
  return parseCommandLine(spec, argv, { prefix: PREFIX, env: ENVIRONMENT, configurable, report });
}

function printVersion(): void {
  print(`ferryd ${VERSION}\n`);
}

/** Prints requested text, and waits until it is written. */
function print(text: string): void {
  writeAll(Deno.stdout, text);
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let done = 0; done < bytes.length;) done += to.writeSync(bytes.subarray(done));
  } catch {
    // The reader is gone.
  }
}
