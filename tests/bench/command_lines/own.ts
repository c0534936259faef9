import { parseCommandLine } from "../../../lib/cli/command_line.ts";
import type { CommandSpec } from "../../../lib/cli/command_spec.ts";
import { renderHelp } from "../../../lib/cli/help.ts";
import { OPTIONS } from "./options.ts";

const ls: CommandSpec = {
  name: "ls",
  usage: "[NAME...]",
  summary: "List directories",
  details: "",
  arguments: { min: 0, max: Infinity },
  options: OPTIONS,
};

if (Deno.args.includes("--help")) console.log(renderHelp(ls, { prefix: "FERRY" }));
else {
  const settings = { prefix: "FERRY", env: () => undefined, configurable: OPTIONS };
  console.log(parseCommandLine(ls, Deno.args, settings));
}
