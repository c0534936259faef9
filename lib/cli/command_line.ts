/**
 * Parses command lines. An option that the command line does not give is taken from the environment, else from the
 * config file, else from its default.
 *
 * This is own code on top of parseArgs() of std, because a program starts faster with it: with citty 0.2.2 it takes more
 * than one and a half times as long to parse options or to print a help text, with commander 14.0.3 more than twice as
 * long (`deno task bench` prints the figures). Neither has completions.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { FerryError, quote, toFerryError } from "../core/errors.ts";
import type { CommandSpec, OptionSpec, OptionTable, OptionValues } from "./command_spec.ts";
import { readConfigFile } from "./config_file.ts";
import { parseFlag, parseOptionValue, raise } from "./option_value.ts";
import { didYouMean } from "./suggestion.ts";

/** Where values come from besides the command line. */
export interface Settings {
  /** The prefix of environment variables: with `FERRY`, the variable of `--server` is `FERRY_SERVER`. */
  prefix: string;
  /** Reads an environment variable. */
  env(name: string): string | undefined;
  /** Every option that a config file may set: those of the program's other commands too. */
  configurable: OptionTable;
  /**
   * Called with each thing that is wrong; the rest is parsed as if that was not there. Default: the first one is thrown.
   */
  report?: ((problem: FerryError) => void) | undefined;
}

/** A parsed command line. */
export interface ParsedCommandLine<Table extends OptionTable> {
  /** The values of the options. */
  options: OptionValues<Table>;
  /** The arguments that are not options. */
  args: string[];
}

/**
 * Parses the arguments of a command.
 *
 * @throws {FerryError} `usage`, naming the option and the values that it accepts
 */
export function parseCommandLine<Table extends OptionTable>(
  command: CommandSpec<Table>,
  argv: readonly string[],
  { prefix, env, configurable, report = raise }: Settings,
): ParsedCommandLine<Table> {
  const given = parseArgv(command, argv, report);
  const setting = (name: string) =>
    given.options.get(name) ?? (env(variableName(prefix, name)) || undefined);
  const configPath = "config" in command.options ? setting("config") : undefined;
  const config = typeof configPath === "string"
    ? readConfigFile(configPath, configurable, report)
    : new Map<string, string | boolean | string[]>();
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(command.options)) {
    const text = spec.argumentOnly
      ? given.options.get(name) ?? spec.default
      : setting(name) ?? config.get(name) ?? spec.default;
    values[name] = valueOf(name, spec, text, report);
  }
  try {
    assertArguments(command, given.args);
  } catch (error) {
    report(toFerryError(error));
  }
  return { options: values as OptionValues<Table>, args: given.args };
}

/** The value of an option; where that is wrong, its default. */
function valueOf(
  name: string,
  spec: OptionSpec,
  text: string | boolean | string[] | undefined,
  report: (problem: FerryError) => void,
): unknown {
  if (text === undefined) {
    return spec.kind === "flag" ? false : spec.kind === "list" ? [] : undefined;
  }
  try {
    return parseOptionValue(name, spec, text);
  } catch (error) {
    report(toFerryError(error));
    return valueOf(name, spec, spec.default, report);
  }
}

function assertArguments(command: CommandSpec, args: readonly string[]): void {
  const { min, max, choices } = command.arguments;
  if (args.length < min || args.length > max) {
    const problem = args.length < min
      ? (args.length === 0 ? "Nothing was named" : "Too few arguments")
      : `There is no place for ${quote(args[max]!)}`;
    throw usage(command, `${problem}: ${command.name} ${command.usage}`);
  }
  const unknown = choices && args.find((arg) => !choices.includes(arg));
  if (unknown !== undefined) {
    const meant = didYouMean(unknown, choices ?? []);
    throw usage(
      command,
      `There is no ${quote(unknown)}: ${command.name} ${command.usage}${meant}`,
    );
  }
}

function usage(command: CommandSpec, message: string): FerryError {
  return new FerryError("usage", `${message} (see ${command.name} --help)`);
}

/** The environment variable of an option: `FERRY_TOKEN_FILE`. */
export function variableName(prefix: string, option: string): string {
  return `${prefix}_${option.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * Whether a command line gives a flag, in the part of it that may have options, whatever is wrong with the rest: for flags
 * that make a program do something else.
 */
export function givesFlag(command: CommandSpec, argv: readonly string[], name: string): boolean {
  const short = command.options[name]?.short;
  const forms = [`--${name}`, ...short ? [`-${short}`] : []];
  return splitCommandLine(command, argv).head.some((arg) => {
    const [form = "", value = "true"] = arg.split("=", 2);
    return forms.includes(form) && parseFlag(value) === true;
  });
}

/** Splits a command line into the part that may have options, and the arguments after that. */
export function splitCommandLine(
  command: CommandSpec,
  argv: readonly string[],
): { head: string[]; verbatim: string[] } {
  const taking = optionsWithValue(command);
  for (let turn = 0; turn < argv.length; turn++) {
    const arg = argv[turn]!;
    if (arg === "--") return { head: argv.slice(0, turn), verbatim: argv.slice(turn + 1) };
    if (!command.verbatim) continue;
    if (!arg.startsWith("-") || arg === "-") {
      return { head: argv.slice(0, turn), verbatim: argv.slice(turn) };
    }
    if (takesNext(arg, taking)) turn++;
  }
  return { head: [...argv], verbatim: [] };
}

/** Whether the next argument is the value of this option: so it is for `-qs` and `-s`, but not for `-sHOST`. */
function takesNext(arg: string, taking: ReadonlyMap<string, string>): boolean {
  if (taking.has(arg)) return true;
  const letters = /^-([A-Za-z]+)$/.exec(arg)?.[1] ?? "";
  const first = [...letters].findIndex((letter) => taking.has(`-${letter}`));
  return first >= 0 && first === letters.length - 1;
}

/** The names of the options that need a value, by their forms on the command line: `--server` and `-s`. */
function optionsWithValue(command: CommandSpec): ReadonlyMap<string, string> {
  return namesByForm(command, ({ kind, implied }) => kind !== "flag" && implied === undefined);
}

/** The names of some options, by their forms on the command line. */
function namesByForm(
  { options }: CommandSpec,
  isMeant: (option: OptionSpec) => boolean,
): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(options).filter(([, option]) => isMeant(option)).flatMap(([name, { short }]) =>
      [[`--${name}`, name], ...(short ? [[`-${short}`, name]] : [])] as [string, string][]
    ),
  );
}

/** The options and arguments on a command line, before their values are parsed. */
interface Given {
  options: Map<string, string | boolean | string[]>;
  args: string[];
}

function parseArgv(
  command: CommandSpec,
  argv: readonly string[],
  report: (problem: FerryError) => void,
): Given {
  const { head, verbatim } = splitCommandLine(command, argv);
  const entries = Object.entries(command.options);
  const names = (flags: boolean) =>
    entries.filter(([, { kind }]) => (kind === "flag") === flags).map(([name]) => name);
  const alias: Record<string, string> = {};
  for (const [name, { short }] of entries) if (short) alias[short] = name;
  const words = normalize(command, head, report);
  const parsed = parseArgs(words, {
    boolean: names(true),
    string: ["_", ...names(false)],
    collect: entries.filter(([, { kind }]) => kind === "list").map(([name]) => name),
    alias,
    unknown: (arg, key) => {
      if (key === undefined) return true;
      const option = arg.replace(/=.*/s, "");
      const known = entries.map(([name]) => `--${name}`);
      report(usage(command, `There is no option ${option}${didYouMean(option, known)}`));
      return false;
    },
  });
  const options = new Map<string, string | boolean | string[]>();
  for (const [name, { kind, value }] of entries) {
    const given = parsed[name];
    const none = kind === "list" && (given as string[] | undefined)?.length === 0;
    // A flag that is not there is false as well.
    const isLeftOut = given === false && !words.includes(`--${name}=false`);
    if (given === undefined || isLeftOut || none) continue;
    if (kind !== "flag" && [given].flat().includes("")) {
      report(usage(command, `--${name} needs a value: --${name} ${value ?? "VALUE"}`));
      continue;
    }
    options.set(name, given as string | boolean | string[]);
  }
  return { options, args: [...parsed._.map(String), ...verbatim] };
}

/**
 * Converts arguments to forms that parseArgs() understands: it would read `-sHOST` as several flags, and does not
 * accept `-` as a value.
 */
function normalize(
  command: CommandSpec,
  argv: readonly string[],
  report: (problem: FerryError) => void,
): string[] {
  const taking = optionsWithValue(command);
  const implied = impliedValues(command);
  const flags = namesByForm(command, ({ kind }) => kind === "flag");
  const normal: string[] = [];
  for (let turn = 0; turn < argv.length; turn++) {
    const arg = argv[turn]!;
    const name = taking.get(arg);
    const alone = implied.get(arg);
    const [, form = "", text] = /^(--[^=]+|-[A-Za-z])=(.*)$/s.exec(arg) ?? [];
    const flag = flags.get(form);
    if (flag) normal.push(`--${flag}=${valueOf(flag, command.options[flag]!, text, report)}`);
    else if (alone !== undefined) normal.push(alone);
    else if (name !== undefined && argv[turn + 1] === "-") {
      normal.push(`--${name}=-`);
      turn++;
    } else if (/^-[A-Za-z][^=]/.test(arg) && taking.has(arg.slice(0, 2))) {
      normal.push(arg.slice(0, 2), arg.slice(2));
    } else if (/^-[A-Za-z]{2,}$/.test(arg)) {
      // Several flags; some may be options with an implied value.
      const letters = [...arg.slice(1)].map((letter) => `-${letter}`);
      const given = letters.flatMap((letter) => implied.get(letter) ?? []);
      const others = letters.filter((letter) => !implied.has(letter));
      normal.push(...given, ...others.length > 0 ? [`-${others.map(([, c]) => c).join("")}`] : []);
    } else normal.push(arg);
  }
  return normal;
}

/** What options stand for that are given without a value, by their forms on the command line. */
function impliedValues(command: CommandSpec): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(command.options).flatMap(([name, { short, implied }]) => {
      if (implied === undefined) return [];
      const full = `--${name}=${implied}`;
      return [[`--${name}`, full], ...(short ? [[`-${short}`, full]] : [])] as [string, string][];
    }),
  );
}
