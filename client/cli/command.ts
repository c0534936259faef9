/**
 * What a command of `ferry` is, and what it works with while it runs.
 *
 * @module
 */

import type { CommandSpec, OptionTable, OptionValues } from "../../lib/cli/command_spec.ts";
import type { Client } from "../api/client.ts";
import type { ConnectOptions } from "../api/connect.ts";
import type { Shown } from "./credentials.ts";
import type { Output } from "./output.ts";

/** How a command connects, where that differs from what the command line says. */
export interface ConnectOverrides extends Pick<ConnectOptions, "timeout"> {
  /** Whether the command can do without a token where the server requires one. Default: false. */
  mayBeNobody?: boolean | undefined;
}

/** What a running command works with. */
export interface Context {
  /**
   * Connects to the server of `--server`, or gives the client that is connected already.
   *
   * @param job each of several concurrent jobs has a client of its own. Default: 0.
   * @param options options that override those of the command line
   */
  connected(job?: number, options?: ConnectOverrides): Promise<Client>;
  /**
   * The token and the trust that the command line and the environment give.
   *
   * @throws {FerryError} `usage`, `not_found`, … if they cannot be read
   */
  credentials(): Promise<Shown>;
  /** Where results, notices and errors go. */
  output: Output;
  /** Aborted when the user interrupts the program. */
  signal: AbortSignal;
  /** Runs one of several independent parts. Its failure is reported and does not stop the others. */
  attempt(op: string, filename: string, run: () => Promise<void>): Promise<void>;
  /**
   * Reports a failure that does not end the command, and remembers its exit status.
   *
   * @throws the signal's reason once the user has interrupted the program
   */
  failed(op: string, error: unknown, details?: Readonly<Record<string, unknown>>): void;
}

/** Runs a command whose options and arguments have been parsed; may return the exit status. */
export type Run<Options> = (
  context: Context,
  options: Options,
  args: string[],
) => Promise<number | void>;

/** A command with options of any type. */
export interface Command extends CommandSpec {
  /** The `op` of `--json` lines about the command as a whole. */
  readonly op: string;
  /** Runs it with the values of its own options. */
  readonly run: Run<unknown>;
}

/** A command with the types of its options. */
interface TypedCommand<Table extends OptionTable> extends CommandSpec<Table> {
  readonly op: string;
  readonly run: Run<OptionValues<Table>>;
}

/** Defines a command. The types of the values that `run` gets are inferred from its options. */
export function command<const Table extends OptionTable>(definition: TypedCommand<Table>): Command {
  return definition as CommandSpec & { op: string; run: unknown } as Command;
}
