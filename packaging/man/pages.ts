/**
 * All manual pages: one for each command of `ferry`, for `ferryd` and its groups of commands, and for the protocol.
 *
 * @module
 */

import { COMMANDS as CLIENT_COMMANDS, FERRY } from "../../client/cli/commands/all.ts";
import { COMMON } from "../../client/cli/options.ts";
import { PREFIX as CLIENT_PREFIX } from "../../client/cli/run.ts";
import type { CommandSpec } from "../../lib/cli/command_spec.ts";
import { join } from "../../lib/core/paths.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { COMMANDS as SERVER_COMMANDS } from "../../server/cli/commands/all.ts";
import { SERVE } from "../../server/cli/serve_spec.ts";
import { PREFIX as SERVER_PREFIX } from "../../server/cli/run.ts";
import { PROJECT } from "../program.ts";
import { description, environment, options, synopsis } from "./command_page.ts";
import { fromMarkdown, partOf } from "./markdown.ts";
import { definitions, literal, type ManualPage, page, prose, section } from "./roff.ts";

/** The documents of the protocol behind its overview, in the order of their sections. */
const PROTOCOL = ["core.md", "limits.md", "tls.md", "implementing.md"];

/**
 * The pages.
 *
 * @param date the date in their footers
 */
export function manualPages(date: Date): ManualPage[] {
  return [
    ferryPage(date),
    ...CLIENT_COMMANDS.map((command) => clientPage(command, date)),
    ferrydPage(date),
    ...[...groups(SERVER_COMMANDS)].map(([name, commands]) => serverPage(name, commands, date)),
    protocolPage(date),
  ];
}

/**
 * Writes the pages into `man1`, `man7` and `man8` below a directory, which is made where it is missing.
 *
 * @returns their number
 */
export function writeManualPages(directory: string, date: Date): number {
  const pages = manualPages(date);
  for (const { name, section, source } of pages) {
    const place = join(directory, `man${section}`);
    makeDirectories(place);
    Deno.writeTextFileSync(join(place, `${name}.${section}`), source);
  }
  return pages.length;
}

function ferryPage(date: Date): ManualPage {
  return page(
    { name: "ferry", section: 1, about: lowered(FERRY.summary), date },
    section("Synopsis", synopsis(FERRY)),
    section("Description", `${description(FERRY)}.Pp\nThe commands are:\n${list(CLIENT_COMMANDS)}`),
    section("Options", options(FERRY.options)),
    section("Options of every command", options(COMMON)),
    section("Configuration", fromMarkdown(partOf(read("docs/scripting.md"), "Settings"), 1)),
    section("Exit status", exitStatus()),
    section("See also", seeAlso(...CLIENT_COMMANDS.map(pageName), "ferryd 8", "ferry-protocol 7")),
  );
}

function clientPage(command: CommandSpec, date: Date): ManualPage {
  const shared = new Set<unknown>(Object.values(COMMON));
  const entries = Object.entries(command.options);
  const own = Object.fromEntries(entries.filter(([, option]) => !shared.has(option)));
  const common = entries.filter(([, option]) => shared.has(option)).map(([name]) =>
    literal(`--${name}`)
  );
  const others = common.length === 0
    ? ""
    : `The options ${
      common.join(",\n")
    }\nare those of every command, which\n.Xr ferry 1\ndescribes.\n`;
  return page(
    { name: dashed(command), section: 1, about: lowered(command.summary), date },
    section("Synopsis", synopsis(command)),
    section("Description", description(command)),
    section("Options", options(own) + others),
    section("Environment", environment(CLIENT_PREFIX, command.options)),
    section("Exit status", "The statuses are those of\n.Xr ferry 1 .\n"),
    section("See also", seeAlso("ferry 1", "ferry-protocol 7")),
  );
}

function ferrydPage(date: Date): ManualPage {
  const operating = read("docs/operating.md");
  return page(
    { name: "ferryd", section: 8, about: lowered(SERVE.summary), date },
    section("Synopsis", synopsis(SERVE, ...SERVER_COMMANDS)),
    section(
      "Description",
      `${description(SERVE)}.Pp\nIts other commands are:\n${list(SERVER_COMMANDS)}`,
    ),
    section("Options", options(SERVE.options)),
    section("Environment", environment(SERVER_PREFIX, SERVE.options)),
    section("Exit status", exitStatus()),
    section("On a network", fromMarkdown(partOf(operating, "On a network"), 1)),
    section("Backups", fromMarkdown(partOf(operating, "Backups"), 1)),
    section("Upgrading", fromMarkdown(partOf(operating, "Upgrading"), 1)),
    section(
      "See also",
      seeAlso(
        "ferry 1",
        "ferry-protocol 7",
        ...[...groups(SERVER_COMMANDS).keys()].map(inSection8),
      ),
    ),
  );
}

/** The page of a command of `ferryd`, or of several that begin with the same word. */
function serverPage(name: string, commands: readonly CommandSpec[], date: Date): ManualPage {
  const [first] = commands;
  const about = commands.length === 1
    ? lowered(first!.summary)
    : `the commands ${commands.map(({ name }) => name).join(", ")}`;
  const parts = commands.length === 1
    ? [section("Description", description(first!)), section("Options", options(first!.options))]
    : [section("Description", commands.map(part).join(""))];
  const table = Object.assign({}, ...commands.map(({ options }) => options));
  return page(
    { name, section: 8, about, date },
    section("Synopsis", synopsis(...commands)),
    ...parts,
    section("Environment", environment(SERVER_PREFIX, table)),
    section("Exit status", "The statuses are those of\n.Xr ferryd 8 .\n"),
    section("See also", seeAlso("ferryd 8")),
  );
}

function part(command: CommandSpec): string {
  return `.Ss ${command.name}\n${description(command)}${options(command.options)}`;
}

function protocolPage(date: Date): ManualPage {
  const extensions = [...Deno.readDirSync(`${PROJECT}docs/protocol/extensions`)]
    .map(({ name }) => `extensions/${name}`).sort();
  const documents = [...PROTOCOL, ...extensions]
    .map((name) => fromMarkdown(read(`docs/protocol/${name}`), 1));
  // Its own headings are sections; that of the whole document is the name of the page.
  const [overview = ""] = read("PROTOCOL.md").replace(/^# .*\n/, "## Description\n")
    .split("\n## The documents\n");
  return page(
    { name: "ferry-protocol", section: 7, about: "how ferry and ferryd talk to each other", date },
    fromMarkdown(overview, 0),
    ...documents,
    section("See also", seeAlso("ferry 1", "ferryd 8")),
  );
}

function exitStatus(): string {
  return fromMarkdown(partOf(read("docs/scripting.md"), "Exit status"), 1);
}

/** The commands of `ferryd` by the name of their page: those that begin with the same two words share one. */
function groups(commands: readonly CommandSpec[]): Map<string, CommandSpec[]> {
  return Map.groupBy(commands, ({ name }) => name.split(" ").slice(0, 2).join("-"));
}

function list(commands: readonly CommandSpec[]): string {
  return definitions(commands.map(({ name, summary }) => [literal(name), `${prose(summary)}.`]));
}

/** References to pages, in the order of their sections, then of their names. */
function seeAlso(...pages: readonly string[]): string {
  const key = (text: string) => text.split(" ").reverse().join(" ");
  const sorted = [...pages].sort((a, b) => key(a) < key(b) ? -1 : 1);
  return sorted.map((text) => `.Xr ${text}`).join(" ,\n") + "\n";
}

function dashed({ name }: CommandSpec): string {
  return name.replaceAll(" ", "-");
}

function pageName(command: CommandSpec): string {
  return `${dashed(command)} 1`;
}

function inSection8(name: string): string {
  return `${name} 8`;
}

function lowered(summary: string): string {
  return summary[0]!.toLowerCase() + summary.slice(1);
}

function read(path: string): string {
  return Deno.readTextFileSync(PROJECT + path);
}
