import { assertEquals, assertMatch } from "@std/assert";
import { COMMANDS, FERRY } from "../../../client/cli/commands/all.ts";
import { COMMON } from "../../../client/cli/options.ts";
import type { CommandSpec, OptionTable } from "../../../lib/cli/command_spec.ts";
import { renderHelp } from "../../../lib/cli/help.ts";
import { COMMANDS as SERVER_COMMANDS } from "../../../server/cli/commands/all.ts";
import { SERVE } from "../../../server/cli/commands/serve.ts";

const OPTIONS = {
  to: { kind: "text", value: "DIR", help: "the directory" },
  server: { kind: "text", short: "s", value: "HOST", default: "localhost", help: "the server" },
  when: { kind: "text", choices: ["never", "always"], default: "never", help: "when" },
  jobs: { kind: "count", help: "how many" },
  "max-size": { kind: "size", value: "SIZE", default: "1MiB", help: "how large" },
  timeout: { kind: "time", help: "how long" },
  quiet: { kind: "flag", short: "q", help: "say nothing" },
  "dry-run": { kind: "flag", help: "do nothing" },
  config: { kind: "text", value: "FILE", help: "a file" },
} as const satisfies OptionTable;

const COMMAND = {
  name: "prog cmd",
  usage: "PATH... [--to DIR]",
  summary: "Do something",
  arguments: { min: 0, max: 3 },
  options: OPTIONS,
} as const satisfies CommandSpec;

Deno.test("renderHelp() shows usage, summary, details and a line for each option", () => {
  assertEquals(
    renderHelp({ ...COMMAND, details: "More about it." }, { prefix: "PROG" }),
    `Usage: prog cmd PATH... [--to DIR]

Do something.

More about it.

Options:
      --to DIR         the directory
  -s, --server HOST    the server (default: localhost)
      --when           when (default: never)
      --jobs           how many
      --max-size SIZE  how large (default: 1MiB)
      --timeout        how long
  -q, --quiet          say nothing
      --dry-run        do nothing
      --config FILE    a file

Each option can also be set by a variable of the environment (--to by PROG_TO)
or by a line of the file that --config names.
`,
  );
});

Deno.test("renderHelp() tells shared options apart", () => {
  const { to, server, quiet } = OPTIONS;
  const command = { ...COMMAND, usage: "", options: { to, server, quiet } };
  assertEquals(
    renderHelp(command, { prefix: "PROG", common: { server, quiet } }),
    `Usage: prog cmd

Do something.

Options:
      --to DIR  the directory

Options of every command:
  -s, --server HOST  the server (default: localhost)
  -q, --quiet        say nothing

Each option can also be set by a variable of the environment (--to by PROG_TO).
`,
  );
});

/** The commands of the real programs. */
const REAL: readonly CommandSpec[] = [FERRY, ...COMMANDS, SERVE, ...SERVER_COMMANDS];

Deno.test("renderHelp() names every option of the real commands", () => {
  for (const command of REAL) {
    const common = command.name.startsWith("ferry ") ? COMMON : {};
    const help = renderHelp(command, { prefix: "FERRY", common });
    for (const name of Object.keys(command.options)) {
      assertMatch(help, new RegExp(`^ +(-., )?--${name}( |$)`, "m"), `${command.name} --${name}`);
    }
  }
});
