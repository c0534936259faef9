/**
 * Runs a command of `ferry`: parses its options, connects where the command needs it, reports failures, and returns the
 * exit status.
 *
 * @module
 */

import { parseCommandLine } from "../../lib/cli/command_line.ts";
import type { OptionTable } from "../../lib/cli/command_spec.ts";
import { toFerryError } from "../../lib/core/errors.ts";
import { RateLimit } from "../net/rate_limit.ts";
import type { NamedReply } from "../net/named_reply.ts";
import type { Retry } from "../net/retry.ts";
import type { Clients } from "./clients.ts";
import type { Command, Context } from "./command.ts";
import type { CommonValues } from "./options.ts";
import { Output } from "./output.ts";
import { ProgressDisplay } from "./progress_display.ts";

/** The prefix of environment variables: `FERRY_SERVER` sets `--server`, and so on. */
export const PREFIX = "FERRY";

/** What {@linkcode runCommand} needs besides the command line. */
export interface RunOptions {
  /** Every option that a config file may set: those of the other commands too. */
  configurable: OptionTable;
  /** Reads an environment variable. */
  env(name: string): string | undefined;
  /** Aborted when the user interrupts the program. */
  signal: AbortSignal;
}

/**
 * Runs a command.
 *
 * @returns the exit status: that of the first failure, or 0
 * @throws {FerryError} `usage` where the command line is wrong
 * @throws the signal's reason once the user has interrupted the program
 */
export async function runCommand(
  command: Command,
  argv: readonly string[],
  { configurable, env, signal }: RunOptions,
): Promise<number> {
  const { options, args } = parseCommandLine(command, argv, { prefix: PREFIX, env, configurable });
  const common = options as unknown as CommonValues;
  const {
    json = false,
    quiet = false,
    progress = false,
    "dry-run": dryRun = false,
    watch = false,
  } = common;
  const drawn = progress || (!quiet && !json && Deno.stderr.isTerminal());
  const renderer = drawn ? await import("./progress.ts") : undefined;
  const output = new Output({ json, quiet, progress: new ProgressDisplay(renderer) });
  const { "limit-rate": limitRate } = common;
  const limit = limitRate === undefined ? undefined : new RateLimit(limitRate);
  let status = 0;
  let taken = false;
  const failed: Context["failed"] = (op, error, details) => {
    // An interruption is not a failure.
    if (signal.aborted) throw signal.reason;
    const failure = toFerryError(error);
    taken ||= failure.code === "exists";
    output.error(op, failure, details);
    status ||= command.failureStatus ?? failure.exitStatus;
  };
  let clients: Promise<Clients> | undefined;
  const start = async () => {
    const { Clients } = await import("./clients.ts");
    // Users can easily repeat a command that transfers nothing.
    // Watching goes on for ever by itself.
    const retries = dryRun || watch ? 0 : common.retries;
    const onRetry = (retry: Retry) => output.retry(retry);
    const onUncompressed = () => output.notice("the server does not compress this connection");
    const onReply = common.verbose ? (reply: NamedReply) => output.reply(reply) : undefined;
    return new Clients({ common, limit, retries, onRetry, onReply, onUncompressed, env, signal });
  };
  const context: Context = {
    async connected(job = 0, overrides = {}) {
      return await (await (clients ??= start())).of(job, overrides);
    },
    async credentials() {
      return (await (clients ??= start())).shown;
    },
    output,
    signal,
    async attempt(op, filename, part) {
      try {
        await part();
      } catch (error) {
        failed(op, error, { filename });
      }
    },
    failed,
  };
  try {
    status = await command.run(context, options, args) || status;
  } catch (error) {
    failed(command.op, error);
  } finally {
    await (await clients)?.[Symbol.asyncDispose]();
  }
  if (taken && "overwrite" in command.options) {
    output.notice("--overwrite says when a name that is taken is replaced (see --help)");
  }
  return status;
}
