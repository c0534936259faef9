/**
 * `deno task man`: writes the manual pages.
 *
 * @module
 */

import { parseCommandLine } from "../../lib/cli/command_line.ts";
import type { CommandSpec } from "../../lib/cli/command_spec.ts";
import { renderHelp } from "../../lib/cli/help.ts";
import { quote, toFerryError } from "../../lib/core/errors.ts";
import { buildDate } from "../build_date.ts";
import { HELP, outOption } from "../options.ts";
import { writeManualPages } from "./pages.ts";

const PREFIX = "FERRY_MAN";

const MAN = {
  name: "deno task man",
  usage: "[--out DIR]",
  summary: "Write the manual pages",
  details:
    `They are generated from the options of the commands and from the documents, into man1, man7 and
man8 below the directory: man -M DIR ferry shows one. SOURCE_DATE_EPOCH sets the date in them.`,
  arguments: { min: 0, max: 0 },
  options: {
    out: outOption("dist/man"),
    help: HELP,
  },
} as const satisfies CommandSpec;

function main(argv: readonly string[]): void {
  if (argv.includes("--help") || argv.includes("-h")) {
    console.log(renderHelp(MAN, { prefix: PREFIX }).trimEnd());
    return;
  }
  const env = (name: string) => Deno.env.get(name);
  const { options: { out } } = parseCommandLine(MAN, argv, {
    prefix: PREFIX,
    env,
    configurable: {},
  });
  const date = buildDate(env);
  try {
    console.log(`${out}: ${writeManualPages(out, date)} manual pages`);
  } catch (error) {
    throw toFerryError(error).during(`write to ${quote(out)}`);
  }
}

if (import.meta.main) {
  try {
    main(Deno.args);
  } catch (error) {
    const { message, exitStatus } = toFerryError(error);
    console.error(`man: ${message}`);
    Deno.exit(exitStatus);
  }
}
