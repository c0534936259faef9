import { COMMAND, OPTIONS, REAL } from "../../support/command_specs.ts";
import { assertEquals, assertMatch } from "@std/assert";
import { COMMON } from "../../../client/cli/options.ts";
import { renderHelp } from "../../../lib/cli/help.ts";

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

Deno.test("renderHelp() names every option of the real commands", () => {
  for (const command of REAL) {
    const common = command.name.startsWith("ferry ") ? COMMON : {};
    const help = renderHelp(command, { prefix: "FERRY", common });
    for (const name of Object.keys(command.options)) {
      assertMatch(
        help,
        new RegExp(`^ +(-., )?--${name}( |\\[=|$)`, "m"),
        `${command.name} --${name}`,
      );
    }
  }
});
