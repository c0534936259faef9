/**
 * `ferry exec`: the output and the exit status of a command on the server, as if it ran here.
 *
 * @module
 */

import type { OptionTable, OptionValues } from "../../../lib/cli/command_spec.ts";
import { FerryError, quote } from "../../../lib/core/errors.ts";
import { FRAMINGS } from "../../../lib/line_exec/framing.ts";
import type { Command as RemoteCommand } from "../../api/exec.ts";
import { command, type Context } from "../command.ts";
import { outputEvents } from "../exec_output.ts";
import { COMMON_WITHOUT_RETRIES } from "../options.ts";
import { secondsSince } from "../output.ts";
import { STANDARD_ERROR, STANDARD_OUTPUT, standardInput } from "../stdio.ts";

const OPTIONS = {
  ...COMMON_WITHOUT_RETRIES,
  stdin: { kind: "flag", help: "hand standard input on to the command" },
  shell: { kind: "text", value: "LINE", help: "a line for the server's shell" },
  timeout: {
    kind: "time",
    value: "TIME",
    argumentOnly: true,
    help:
      "kill the command, and all that it has started, after that time; the server has a limit, too",
  },
  classic: { kind: "text", value: "HOST:PORT", help: "a server of the classic protocol" },
  framing: {
    kind: "text",
    value: "json|length|raw",
    choices: FRAMINGS,
    default: "json",
    help: "what stands in front of a classic server's output",
  },
  encoding: {
    kind: "text",
    value: "NAME",
    help: "what a classic server writes in, such as gbk; the output is shown in UTF-8",
  },
} as const satisfies OptionTable;

type Options = OptionValues<typeof OPTIONS>;

/** The command. */
export const exec = command({
  name: "ferry exec",
  op: "exec",
  usage: "[--stdin] [--timeout TIME] -- COMMAND [ARG...]",
  summary: "Run a command on the server, where it allows that",
  details:
    `The command gets its arguments as they are; no shell sees them. Its output comes as it is written,
standard error on standard error, and ferry ends with its exit status: 128 and the number of the signal
where one ended it, 124 where its time was up, 255 where ferry itself failed. Options of ferry stand
in front of the command.

  ferry exec --shell LINE hands a line to the server's shell, where it allows that.
  ferry exec --classic HOST:PORT [--framing F] [--encoding E] [LINE] speaks to a server of the
  classic protocol; without LINE it asks for one after the other.`,
  arguments: { min: 0, max: Infinity },
  verbatim: true,
  failureStatus: 255,
  options: OPTIONS,
  async run(context, options, args) {
    const { classic } = options;
    if (classic === undefined) return await runCommand(context, options, args);
    const { runLines } = await import("../line_exec.ts");
    return await runLines(context, options, args, classic);
  },
});

async function runCommand(context: Context, options: Options, args: string[]): Promise<number> {
  const { output, signal } = context;
  const { stdin, timeout } = options;
  const command = remoteCommand(options, args);
  // For this command, --timeout limits how long the command runs, not how long the server is silent.
  const client = await context.connected(0, { timeout: undefined });
  const started = performance.now();
  const result = await client.exec(command, {
    timeout,
    signal,
    stdin: stdin ? standardInput() : undefined,
    stdout: output.json ? outputEvents("stdout", output) : STANDARD_OUTPUT,
    stderr: output.json ? outputEvents("stderr", output) : STANDARD_ERROR,
  });
  const { exitCode, timedOut, md5, size } = result;
  output.done("exec", {
    exit_code: exitCode,
    signal: result.signal,
    timed_out: timedOut,
    md5,
    total_size: size,
    seconds: secondsSince(started),
  });
  if (timedOut) output.notice("the command was killed: its time was up");
  return exitCode;
}

function remoteCommand({ shell, encoding }: Options, args: string[]): RemoteCommand {
  if (encoding !== undefined) throw usage("--encoding is for --classic only");
  if (shell === undefined) {
    if (args.length === 0) throw usage("No command was named: ferry exec -- COMMAND [ARG...]");
    return args;
  }
  if (args.length === 0) return { shell };
  throw usage(`--shell takes the whole line, and there is no place for ${quote(args[0]!)}`);
}

function usage(problem: string): FerryError {
  return new FerryError("usage", `${problem} (see ferry exec --help)`);
}
