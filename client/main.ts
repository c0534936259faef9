/**
 * The program `ferry`: reads a command line, runs the command, exits with its status.
 *
 * @module
 */

import {
  type CommandSpec,
  type OptionTable,
  parseCommandLine,
  renderHelp,
  wantsHelp,
} from "../lib/cli/command_line.ts";
import { renderCompletions, type Shell, specsIn } from "../lib/cli/completions.ts";
import { FerryError, quote, toFerryError } from "../lib/core/errors.ts";
import { onInterrupt } from "../lib/cli/signals.ts";
import { giveUp, variable } from "../lib/cli/permissions.ts";
import { didYouMean } from "../lib/cli/suggestion.ts";
import { VERSION } from "../lib/core/version.ts";
import * as commands from "./cli/commands.ts";
import * as config from "./cli/options.ts";
import {
  CAT,
  COMMON,
  CONFIGURABLE,
  DOWNLOAD,
  ECHO,
  EXEC,
  GET,
  LS,
  MKDIR,
  MV,
  PING,
  PUT,
  RM,
  STAT,
  UPLOAD,
} from "./cli/options.ts";
import { write } from "./cli/output.ts";
import * as transfers from "./cli/transfer_commands.ts";

const PREFIX = "FERRY";

interface Command {
  spec: CommandSpec;
  /** Runs it and gives the exit status. */
  run(argv: readonly string[], signal: AbortSignal): Promise<number>;
}

/** A command and what runs it, with the types of its options between them. */
function command<Table extends commands.Table>(
  spec: CommandSpec<Table>,
  run: commands.Run<Table>,
): Command {
  return {
    spec,
    run: (argv, signal) => commands.start(parse(spec, argv), run, signal),
  };
}

function parse<Table extends OptionTable>(spec: CommandSpec<Table>, argv: readonly string[]) {
  return parseCommandLine(spec, argv, {
    prefix: PREFIX,
    env: variable,
    configurable: CONFIGURABLE,
  });
}

/** `ferry echo`, with all that no other command needs. */
const echo: commands.Run<typeof ECHO.options> = async (...all) => {
  return await (await import("./cli/echo_command.ts")).echo(...all);
};

/** `ferry exec`, as that. */
const exec: commands.Run<typeof EXEC.options> = async (...all) => {
  return await (await import("./cli/exec_command.ts")).exec(...all);
};

/** `ferry completions`, which knows no server. */
const completions: Command = {
  spec: config.COMPLETIONS,
  run(argv) {
    const { args: [shell] } = parse(config.COMPLETIONS, argv);
    print(renderCompletions(shell as Shell, "ferry", specsIn(config)));
    return Promise.resolve(0);
  },
};

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  command(PUT, transfers.put),
  command(GET, transfers.get),
  command(CAT, transfers.cat),
  command(LS, commands.ls),
  command(STAT, commands.stat),
  command(RM, commands.rm),
  command(MV, commands.mv),
  command(MKDIR, commands.mkdir),
  command(EXEC, exec),
  command(PING, commands.ping),
  command(ECHO, echo),
  completions,
  command(UPLOAD, transfers.put),
  command(DOWNLOAD, transfers.get),
].map((entry) => [entry.spec.name.split(" ")[1]!, entry]));

/** The options that a command shares with all that talk to a ferryd. */
function commonOf({ options }: CommandSpec): OptionTable {
  return Object.fromEntries(
    Object.entries(COMMON).filter(([name, option]) => options[name] === option),
  );
}

function overview(): string {
  const width = Math.max(...[...COMMANDS.keys()].map((name) => name.length)) + 2;
  const rows = [...COMMANDS].map(([name, { spec }]) => `  ${name.padEnd(width)}${spec.summary}`);
  const { name, usage, summary } = config.FERRY;
  return `Usage: ${name} ${usage}

${summary}.

Commands:
${rows.join("\n")}

ferry COMMAND --help, or ferry help COMMAND, tells more of each. ferry --version shows the version.
`;
}

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...others] = argv;
  if (["--version", "-V", "version"].includes(first ?? "")) return print(`ferry ${VERSION}\n`);
  const helping = ["--help", "-h", "help"].includes(first ?? "");
  const [name, ...rest] = helping ? others : argv;
  if (name === undefined) {
    if (helping) return print(overview());
    throw new FerryError("usage", "No command was given (see ferry --help)");
  }
  const entry = COMMANDS.get(name);
  if (!entry) {
    const meant = didYouMean(name, [...COMMANDS.keys(), "help", "version"]);
    throw new FerryError("usage", `There is no command ${quote(name)}${meant} (see ferry --help)`);
  }
  if (helping || wantsHelp(entry.spec, rest)) {
    return print(renderHelp(entry.spec, { prefix: PREFIX, common: commonOf(entry.spec) }));
  }
  const interrupted = new AbortController();
  onInterrupt(
    (exitStatus) => interrupted.abort(new Interruption(exitStatus)),
    // The second one does not wait for anything to be tidied up.
    (exitStatus) => Deno.exit(exitStatus),
  );
  giveUp(["env", "ffi", "run"], rest);
  try {
    return await entry.run(rest, interrupted.signal);
  } catch (error) {
    if (!(error instanceof Interruption)) {
      const { failureStatus } = entry.spec;
      if (failureStatus === undefined) throw error;
      complain(error);
      return failureStatus;
    }
    const hint = "no-resume" in entry.spec.options
      ? "; the same command goes on where it stopped"
      : "";
    write(Deno.stderr, `ferry: interrupted${hint}\n`);
    return error.exitStatus;
  }
}

class Interruption extends Error {
  readonly exitStatus: number;

  constructor(exitStatus: number) {
    super("interrupted");
    this.exitStatus = exitStatus;
  }
}

function complain(error: unknown): void {
  write(Deno.stderr, `ferry: ${toFerryError(error).message}\n`);
}

function print(text: string): number {
  write(Deno.stdout, text);
  return 0;
}

if (import.meta.main) {
  let status: number;
  try {
    status = await main(Deno.args);
  } catch (error) {
    complain(error);
    status = toFerryError(error).exitStatus;
  }
  Deno.exit(status);
}
