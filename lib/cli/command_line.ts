/**
 * Command lines from option tables: one table gives the parser, the environment variables, the keys of
 * the config file, and the help text.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { parse as parseToml } from "@std/toml/parse";
import { FerryError, quote, toFerryError } from "../core/errors.ts";
import { readRegularFile } from "./option_file.ts";
import { didYouMean } from "./suggestion.ts";

/** What an option takes. */
export type OptionKind = "flag" | "text" | "list" | "count" | "size" | "time";

/** One option. Its name, in kebab case, is its key in the table. */
export interface OptionSpec {
  /** What it takes. */
  readonly kind: OptionKind;
  /** One sentence, without a full stop. */
  readonly help: string;
  /** The placeholder of its value in the help text. */
  readonly value?: string;
  /** The one-letter form. */
  readonly short?: string;
  /** The value where none is given, as it would be written. */
  readonly default?: string;
  /** The least and the greatest number that a count may be. */
  readonly range?: readonly [min: number, max: number];
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** Whether it is set by the command line only: what it has in common with others is the name. */
  readonly argumentOnly?: boolean;
  /** What shells complete, where the placeholder does not tell: a FILE and a PATH are files here. */
  readonly completes?: "files" | "directories";
}

/** Options by name. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

type ValueOf<Spec extends OptionSpec> = Spec["kind"] extends "flag" ? boolean
  : Spec["kind"] extends "list" ? string[]
  :
    | (Spec["kind"] extends "text"
      ? Spec extends { choices: readonly (infer Choice)[] } ? Choice : string
      : number)
    | (Spec extends { default: string } ? never : undefined);

/** The values that a table gives. */
export type OptionValues<Table extends OptionTable> = {
  -readonly [Name in keyof Table]: ValueOf<Table[Name]>;
};

/** A program or one of its commands. */
export interface CommandSpec<Table extends OptionTable = OptionTable> {
  /** As it is called: `ferry put`. */
  readonly name: string;
  /** Its arguments in the help text: `PATH...`. */
  readonly usage: string;
  /** What it does, in one sentence. */
  readonly summary: string;
  /** More lines for its help text. */
  readonly details?: string;
  /** Its options. */
  readonly options: Table;
  /** How many arguments it takes that are not options, and which, where there are only some. */
  readonly arguments: {
    readonly min: number;
    readonly max: number;
    readonly choices?: readonly string[];
  };
  /** Whether everything behind the first argument is one too, whatever it looks like: another's command line. */
  readonly verbatim?: boolean;
  /** The exit status of all that fails here, where the statuses of others are passed on. */
  readonly failureStatus?: number;
}

/** Where values come from beside the arguments. */
export interface Surroundings {
  /** `FERRY` makes `FERRY_SERVER` the variable of `--server`. */
  prefix: string;
  /** Reads an environment variable. */
  env(name: string): string | undefined;
  /** Every option that a config file may set: those of the program's other commands too. */
  configurable: OptionTable;
}

/** What a command line says. */
export interface ParsedCommandLine<Table extends OptionTable> {
  /** The options' values: from the arguments, else the environment, the config file, the defaults. */
  options: OptionValues<Table>;
  /** The other arguments. */
  args: string[];
}

/**
 * Reads the arguments of a command.
 *
 * @throws {FerryError} `usage`, naming the option and what it takes
 */
export function parseCommandLine<Table extends OptionTable>(
  command: CommandSpec<Table>,
  argv: readonly string[],
  surroundings: Surroundings,
): ParsedCommandLine<Table> {
  const given = parseArgv(command, argv);
  const setting = (name: string) => given.options.get(name) ?? env(surroundings, name);
  const configPath = "config" in command.options ? setting("config") : undefined;
  const config = typeof configPath === "string" ? readConfig(configPath, surroundings) : new Map();
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(command.options)) {
    const text = spec.argumentOnly
      ? given.options.get(name) ?? spec.default
      : setting(name) ?? config.get(name) ?? spec.default;
    values[name] = text === undefined
      ? (spec.kind === "flag" ? false : spec.kind === "list" ? [] : undefined)
      : parseValue(name, spec, text);
  }
  const { min, max, choices } = command.arguments;
  const { args } = given;
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
  return { options: values as OptionValues<Table>, args };
}

function usage(command: CommandSpec, message: string): FerryError {
  return new FerryError("usage", `${message} (see ${command.name} --help)`);
}

type Given = { options: Map<string, string | boolean | string[]>; args: string[] };

/** Whether a command line asks for help, in the part of it that may have options. */
export function wantsHelp(command: CommandSpec, argv: readonly string[]): boolean {
  const short = command.options.help?.short;
  const forms = ["--help", ...short ? [`-${short}`] : []];
  return splitCommandLine(command, argv).head.some((arg) => forms.includes(arg));
}

/** Splits a command line into the part that may have options, and the arguments that are taken as they are. */
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

/** Whether the value of an option is the argument behind it: of `-qs` and `-s`, but not of `-sHOST`. */
function takesNext(arg: string, taking: ReadonlyMap<string, string>): boolean {
  if (taking.has(arg)) return true;
  const letters = /^-([A-Za-z]+)$/.exec(arg)?.[1] ?? "";
  const first = [...letters].findIndex((letter) => taking.has(`-${letter}`));
  return first >= 0 && first === letters.length - 1;
}

/** The names and letters of the options that take a value, as they are written, and what they are called. */
function optionsWithValue(command: CommandSpec): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(command.options).flatMap(([name, { short, kind }]) =>
      kind === "flag" ? [] : [[`--${name}`, name], ...(short ? [[`-${short}`, name]] : [])]
    ) as [string, string][],
  );
}

function parseArgv(command: CommandSpec, argv: readonly string[]): Given {
  const { head, verbatim } = splitCommandLine(command, argv);
  const entries = Object.entries(command.options);
  const names = (flags: boolean) =>
    entries.filter(([, { kind }]) => (kind === "flag") === flags).map(([name]) => name);
  const alias: Record<string, string> = {};
  for (const [name, { short }] of entries) if (short) alias[short] = name;
  const parsed = parseArgs(normalize(command, head), {
    boolean: names(true),
    string: ["_", ...names(false)],
    collect: entries.filter(([, { kind }]) => kind === "list").map(([name]) => name),
    alias,
    unknown: (arg, key) => {
      if (key === undefined) return true;
      const option = arg.replace(/=.*/s, "");
      const known = entries.map(([name]) => `--${name}`);
      throw usage(command, `There is no option ${option}${didYouMean(option, known)}`);
    },
  });
  const options = new Map<string, string | boolean | string[]>();
  for (const [name, { kind, value }] of entries) {
    const given = parsed[name];
    const none = kind === "list" && (given as string[] | undefined)?.length === 0;
    if (given === undefined || given === false || none) continue;
    if (kind !== "flag" && [given].flat().includes("")) {
      throw usage(command, `--${name} needs a value: --${name} ${value ?? "VALUE"}`);
    }
    options.set(name, given as string | boolean | string[]);
  }
  return { options, args: [...parsed._.map(String), ...verbatim] };
}

/**
 * Arguments as the parser understands them: it takes `-sHOST` for a row of flags, and `-` for no value.
 */
function normalize(command: CommandSpec, argv: readonly string[]): string[] {
  const taking = optionsWithValue(command);
  const normal: string[] = [];
  for (let turn = 0; turn < argv.length; turn++) {
    const arg = argv[turn]!;
    const name = taking.get(arg);
    if (name !== undefined && argv[turn + 1] === "-") {
      normal.push(`--${name}=-`);
      turn++;
    } else if (/^-[A-Za-z][^=]/.test(arg) && taking.has(arg.slice(0, 2))) {
      normal.push(arg.slice(0, 2), arg.slice(2));
    } else normal.push(arg);
  }
  return normal;
}

function env({ prefix, env }: Surroundings, name: string): string | undefined {
  return env(variableName(prefix, name)) || undefined;
}

function variableName(prefix: string, name: string): string {
  return `${prefix}_${name.toUpperCase().replaceAll("-", "_")}`;
}

function readConfig(
  path: string,
  { configurable }: Surroundings,
): Map<string, string | boolean | string[]> {
  const action = `read the configuration ${quote(path)}`;
  let table: Record<string, unknown>;
  try {
    table = parseToml(readRegularFile(path));
  } catch (error) {
    // The parser's message says the line and what was expected there.
    const reason = error instanceof SyntaxError ? error.message : toFerryError(error).reason;
    throw new FerryError("usage", reason, { action, cause: error });
  }
  for (const [key, value] of Object.entries(table)) {
    const spec = Object.hasOwn(configurable, key) ? configurable[key] : undefined;
    if (!spec) {
      const meant = didYouMean(key, Object.keys(configurable));
      throw new FerryError("usage", `there is no option ${quote(key)}${meant}`, { action });
    }
    if (spec.kind === "list" && isTexts(value)) continue;
    const right = spec.kind === "flag" ? typeof value === "boolean" : typeof value !== "boolean";
    if (!right || typeof value === "object") {
      const wanted = spec.kind === "flag" ? "true or false" : "a text or a number";
      throw new FerryError("usage", `${key} is not ${wanted}`, { action });
    }
    if (spec.kind !== "flag") table[key] = String(value);
  }
  return new Map(Object.entries(table) as [string, string | boolean | string[]][]);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function parseValue(name: string, spec: OptionSpec, text: string | boolean | string[]): unknown {
  if (spec.kind === "list") {
    const items = Array.isArray(text) ? text : [text];
    return items.map((item) => parseValue(name, { ...spec, kind: "text" }, item));
  }
  if (spec.kind === "flag") {
    return typeof text === "boolean" ? text : !/^(0|false)$/.test(String(text));
  }
  const value = String(text);
  const wrong = (wanted: string, candidates: readonly string[] = []) => {
    const meant = didYouMean(value, candidates);
    return new FerryError("usage", `--${name} takes ${wanted}, not ${quote(value)}${meant}`);
  };
  switch (spec.kind) {
    case "text":
      if (spec.choices && !spec.choices.includes(value)) {
        throw wrong(spec.choices.join(", "), spec.choices);
      }
      return value;
    case "count":
      return parseCount(value, spec) ?? raise(wrong(countText(spec)));
    case "size":
      return parseSize(value) ?? raise(wrong("a size such as 500k, 2M or 1GiB"));
    case "time":
      return parseTime(value) ?? raise(wrong("a time such as 500ms, 30s, 5m, 2h or 7d"));
  }
}

function parseCount(text: string, { range = [0, Infinity] }: OptionSpec): number | undefined {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  return count >= range[0] && count <= range[1] ? count : undefined;
}

function countText({ range }: OptionSpec): string {
  return range ? `a whole number from ${range.join(" to ")}` : "a whole number";
}

function raise(error: Error): never {
  throw error;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A size in bytes: `500`, `64k`, `1.5MiB`; undefined where the text is none. */
export function parseSize(text: string): number | undefined {
  const size = parseQuantity(text, SIZE_UNITS);
  return size === undefined ? undefined : Math.floor(size);
}

/** A time in milliseconds: `500ms`, `1.5s`, `2h`, `0`; undefined where the text is none. */
export function parseTime(text: string): number | undefined {
  if (/^0+$/.test(text)) return 0;
  return parseQuantity(text, TIME_UNITS);
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-z]*)$/i.exec(text);
  if (!match) return undefined;
  const [, number, suffix = ""] = match;
  const unit = suffix.toLowerCase().replace(/(?<=^[kmgt])b$/, "");
  return Object.hasOwn(units, unit) ? Number(number) * units[unit]! : undefined;
}

/** The help text of a command. `common` are options that it shares with others. */
export function renderHelp(
  command: CommandSpec,
  { prefix, common = {} }: { prefix: string; common?: OptionTable },
): string {
  const own = Object.entries(command.options).filter(([name]) => !Object.hasOwn(common, name));
  const sections = [
    `Usage: ${command.name} ${command.usage}`.trimEnd(),
    command.summary + ".",
    command.details,
    own.length > 0 ? `Options:\n${renderOptions(own)}` : undefined,
    Object.keys(common).length > 0
      ? `Options of every command:\n${renderOptions(Object.entries(common))}`
      : undefined,
    renderSettings(command, prefix),
  ];
  return sections.filter((section) => section !== undefined).join("\n\n") + "\n";
}

/** How options can be set besides; undefined where there are none worth it. */
function renderSettings({ options }: CommandSpec, prefix: string): string | undefined {
  const name = Object.keys(options).find((name) => name !== "help" && name !== "version");
  if (name === undefined) return undefined;
  const file = "config" in options ? "\nor by a line of the file that --config names." : ".";
  const variable = `(--${name} by ${variableName(prefix, name)})`;
  return `Each option can also be set by a variable of the environment ${variable}${file}`;
}

function renderOptions(options: readonly [string, OptionSpec][]): string {
  const rows = options.map(([name, spec]) => {
    const short = spec.short ? `-${spec.short}, ` : "    ";
    const value = spec.value ? ` ${spec.value}` : "";
    const notes = spec.default === undefined ? "" : ` (default: ${spec.default})`;
    return [`  ${short}--${name}${value}`, spec.help + notes] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => left.padEnd(width) + right).join("\n");
}
