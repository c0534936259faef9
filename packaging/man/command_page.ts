/**
 * Manual pages of commands, from the same descriptions as their help texts.
 *
 * @module
 */

import { variableName } from "../../lib/cli/command_line.ts";
import type { CommandSpec, OptionSpec, OptionTable } from "../../lib/cli/command_spec.ts";
import { definitions, display, literal, prose } from "./roff.ts";

/** The lines by which a command is called. */
export function synopsis(...commands: readonly CommandSpec[]): string {
  return commands.map(({ name, usage }) => `.Nm ${name}\n${prose(usage) || "\\&"}\n`).join("");
}

/** What a command does: its summary, and the paragraphs of its help text. Indented ones are shown as they are. */
export function description({ summary, details = "" }: CommandSpec): string {
  const paragraphs = details.split(/\n{2,}/).filter((text) => text !== "").map((text) =>
    text.startsWith("  ") ? display(text.replace(/^ {2}/gm, "")) : `.Pp\n${prose(text)}\n`
  );
  return [`${prose(summary)}.\n`, ...paragraphs].join("");
}

/** A list of options. */
export function options(table: OptionTable): string {
  return definitions(Object.entries(table).map(([name, spec]) => [term(name, spec), text(spec)]));
}

function term(name: string, { short, value, implied }: OptionSpec): string {
  const forms = [...short ? [literal(`-${short}`)] : [], literal(`--${name}`)];
  const behind = !value ? "" : implied ? `[=\\fI${value}\\fR]` : ` \\fI${value}\\fR`;
  return forms.join(", ") + behind;
}

function text({ help, default: preset }: OptionSpec): string {
  const sentence = prose(help[0]!.toUpperCase() + help.slice(1));
  return `${sentence}.${preset === undefined ? "" : `\nThe default is ${literal(preset)}.`}`;
}

/**
 * How the environment sets options.
 *
 * @param prefix that of the program's variables: `FERRY`
 */
export function environment(prefix: string, table: OptionTable): string {
  const settable = Object.entries(table)
    .filter(([, { argumentOnly }]) => !argumentOnly);
  return settable.length === 0
    ? ""
    : "Each option can be set by a variable of the environment, which the command line overrides:\n" +
      settable.map(([name]) => literal(variableName(prefix, name))).join(",\n") + ".\n";
}
