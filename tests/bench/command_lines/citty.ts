import { type ArgsDef, defineCommand, runMain } from "citty";
import { OPTIONS } from "./options.ts";

const options = Object.entries(OPTIONS).map(([name, { kind, short, help }]) => [name, {
  type: kind === "flag" ? "boolean" : "string",
  ...(short === undefined ? {} : { alias: short }),
  description: help,
}]);

await runMain(defineCommand({
  meta: { name: "ls", description: "List directories" },
  args: Object.fromEntries(options) as ArgsDef,
  run: ({ args }) => console.log(args),
}));
