/**
 * Help texts.
 *
 * @module
 */

import { variableName } from "./command_line.ts";
import type { CommandSpec, OptionSpec, OptionTable } from "./command_spec.ts";

/** Options of {@linkcode renderHelp}. */
export interface HelpOptions {
  /** The prefix of the program's environment variables: `FERRY`. */
  prefix: string;
  /** Options that the command shares with others, which have a section of their own. Default: none. */
  common?: OptionTable;
}

/** The help text of a command. */
export function renderHelp(command: CommandSpec, { prefix, common = {} }: HelpOptions): string {
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

/** The text about other ways to set an option. Undefined if the only options are `--help` and `--version`. */
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
    const value = !spec.value ? "" : spec.implied ? `[=${spec.value}]` : ` ${spec.value}`;
    const notes = spec.default === undefined ? "" : ` (default: ${spec.default})`;
    return [`  ${short}--${name}${value}`, spec.help + notes] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => left.padEnd(width) + right).join("\n");
}
