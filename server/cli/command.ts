/**
 * The definition of a command of `ferryd`.
 *
 * @module
 */

import type { CommandSpec, OptionTable, OptionValues } from "../../lib/cli/command_spec.ts";

/** The output of a command. */
export interface Voice {
  /** Prints a line of its results, on standard output. */
  print(line: string): void;
  /** Prints a line for people, on standard error. */
  tell(line: string): void;
}

/** Runs a command whose options and arguments have been parsed. */
export type Run<Options> = (options: Options, args: string[], voice: Voice) => Promise<void> | void;

/** A command of any options. */
export interface Command extends CommandSpec {
  /** Runs it with the values of its own options. */
  readonly run: Run<unknown>;
}

/** A command with the types of its options. */
interface TypedCommand<Table extends OptionTable> extends CommandSpec<Table> {
  readonly run: Run<OptionValues<Table>>;
}

/** Defines a command. Its options determine the types of the values that `run` gets. */
export function command<const Table extends OptionTable>(definition: TypedCommand<Table>): Command {
  return definition as CommandSpec & { run: unknown } as Command;
}
