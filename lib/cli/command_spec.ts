/**
 * The description of a command and its options. The parser, the help text, the completions and the keys of the config
 * file all follow from it.
 *
 * @module
 */

/** The longest time for which something may be valid, in milliseconds: 100 years. Dates end some time later. */
export const LONGEST_VALIDITY_MS: number = 100 * 365 * 24 * 60 * 60 * 1000;

/** The type of an option's value. A `flag` has no value; a `list` is a text that may be given several times. */
export type OptionKind = "flag" | "text" | "list" | "count" | "size" | "time";

/** An option. Its name, in kebab case, is its key in the table. */
export interface OptionSpec {
  /** The type of its value. */
  readonly kind: OptionKind;
  /** What it does, in one sentence without a full stop. */
  readonly help: string;
  /** The placeholder of its value in the help text. Shells complete files for a FILE and a PATH. */
  readonly value?: string;
  /**
   * The value that it has if it is given without one, or as `true`. A value is only read behind a `=` then, and `false` is
   * as if the option was not given.
   */
  readonly implied?: string;
  /** Its one-letter form. */
  readonly short?: string;
  /** The default value, written as on the command line. */
  readonly default?: string;
  /** The smallest and the greatest value of a number: a size in bytes, a time in milliseconds. */
  readonly range?: readonly [min: number, max: number];
  /** Whether a count may also be `auto`, which leaves the choice to the program: undefined. */
  readonly auto?: true;
  /** The only possible values. */
  readonly choices?: readonly string[];
  /** Whether neither the environment nor the config file sets it. Default: false. */
  readonly argumentOnly?: boolean;
  /** What shells complete, if the placeholder does not determine it. */
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
    | (Spec extends { default: string; auto?: undefined } ? never : undefined);

/** The values of the options of a table. Sizes are in bytes, times in milliseconds. */
export type OptionValues<Table extends OptionTable> = {
  -readonly [Name in keyof Table]: ValueOf<Table[Name]>;
};

/** A program or one of its commands. */
export interface CommandSpec<Table extends OptionTable = OptionTable> {
  /** The words that begin its command line: `ferry put`. */
  readonly name: string;
  /** Its arguments in the help text: `PATH...`. */
  readonly usage: string;
  /** What it does, in one sentence without a full stop. */
  readonly summary: string;
  /** More lines of its help text. */
  readonly details?: string;
  /** Its options. */
  readonly options: Table;
  /** How many arguments it takes besides options, and their possible values if these are limited. */
  readonly arguments: {
    readonly min: number;
    readonly max: number;
    readonly choices?: readonly string[];
  };
  /**
   * Whether the first argument ends the options, and all after it are arguments too: the command line of another
   * program. Default: false.
   */
  readonly verbatim?: boolean;
  /** The exit status of every failure, for a command that passes on the exit statuses of others. */
  readonly failureStatus?: number;
}
