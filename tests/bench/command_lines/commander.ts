import { Command } from "commander";
import { OPTIONS } from "./options.ts";

const ls = new Command("ls").description("List directories").argument("[NAME...]")
  .helpOption("--help");
for (const [name, { kind, short, value, help }] of Object.entries(OPTIONS)) {
  const long = kind === "flag" ? `--${name}` : `--${name} <${value}>`;
  ls.option(short === undefined ? long : `-${short}, ${long}`, help);
}
ls.action((names, options) => console.log(names, options));
ls.parse(Deno.args, { from: "user" });
