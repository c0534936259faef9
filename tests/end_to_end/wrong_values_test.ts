/**
 * Every option of the two programs with values that it does not take: one line, the exit status 2, no stack trace.
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../lib/cli/command_line.ts";
import type { CommandSpec, OptionSpec } from "../../lib/cli/command_spec.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { SERVE } from "../../server/cli/serve_spec.ts";
import { REAL } from "../support/command_specs.ts";
import { ferry, ferryd, type Outcome, TempDir } from "../support/programs.ts";

/** What no option of a kind takes, whatever its range. */
const WRONG: Readonly<Record<OptionSpec["kind"], readonly string[]>> = {
  flag: ["perhaps", "2", "--"],
  count: ["many", "-1", "1.5", "1e3", "0x10", "12345678901"],
  size: ["large", "-1", "1PiB", "1 000"],
  time: ["soon", "-1s", "5", "1w", "1h30m"],
  text: ["nonsense"],
  list: ["nonsense"],
};

/** The values that an option does not take by its description. */
function wrongFor({ kind, choices, range }: OptionSpec): string[] {
  if (kind === "text" || kind === "list") return choices ? [...WRONG[kind]] : [];
  const unit = kind === "time" ? "ms" : "";
  const [least = 0, most = Infinity] = range ?? [];
  return [
    ...WRONG[kind],
    ...least > 0 ? [`${least - 1}${unit}`] : [],
    ...most < Infinity ? [`${most + 1}${unit}`] : [],
  ];
}

/** Each option that all commands together have, once for each description, with its first command. */
function distinctOptions(
  commands: readonly CommandSpec[],
): [command: CommandSpec, name: string, option: OptionSpec][] {
  const seen = new Set<OptionSpec>();
  return commands.flatMap((command) =>
    Object.entries(command.options).filter(([, option]) => {
      const isNew = !seen.has(option);
      seen.add(option);
      return isNew;
    }).map(([name, option]) => [command, name, option] as [CommandSpec, string, OptionSpec])
  );
}

function assertOneLine({ code, stdout, stderr }: Outcome, what: string): void {
  assertEquals([code, stdout], [2, ""], what + stderr);
  assertMatch(stderr, /^ferryd?: [^\n]+\n$/, what);
}

Deno.test("each option says what it takes, wherever it is set", async () => {
  await using dir = new TempDir();
  let tried = 0;
  for (const [command, name, option] of distinctOptions(REAL)) {
    if (name === "help" || name === "version") continue;
    for (const value of wrongFor(option)) {
      const config = dir.write("config.toml", `${name} = ${JSON.stringify(value)}\n`);
      const isFlag = option.kind === "flag";
      const ways: [argv: string[], env: string | undefined][] = [
        [[`--${name}=${value}`], undefined],
        ...option.argumentOnly ? [] : [[[], value]] as [string[], string][],
        // A flag of a config file is `true` or `false` there.
        ...option.argumentOnly || isFlag || !("config" in command.options)
          ? []
          : [[["--config", config], undefined]] as [string[], undefined][],
      ];
      for (const [argv, env] of ways) {
        const parse = () =>
          parseCommandLine(command, argv, {
            prefix: "X",
            env: (variable) =>
              variable === `X_${name.toUpperCase().replaceAll("-", "_")}` ? env : undefined,
            configurable: command.options,
          });
        const error = assertThrows(parse, FerryError);
        const start = `--${name} takes `;
        assertEquals([error.code, error.message.slice(0, start.length)], ["usage", start]);
        assert(!error.message.includes("\n") && !error.message.includes("undefined"));
        tried++;
      }
    }
  }
  assert(tried > 500, `${tried}`);
});

Deno.test("ferry ends with one line and 2 for each option with a wrong value", async () => {
  const commands = REAL.filter(({ name }) => /^ferry /.test(name));
  for (const [{ name: words, failureStatus }, name, option] of distinctOptions(commands)) {
    const [value] = wrongFor(option);
    if (value === undefined || name === "help") continue;
    const found = await ferry([words.split(" ")[1]!, `--${name}=${value}`]);
    const expected = failureStatus === undefined ? found : { ...found, code: 2 };
    assertEquals(found.code, failureStatus ?? 2, `${words} --${name}=${value}`);
    assertOneLine(expected, `${words} --${name}=${value}`);
    assert(found.stderr.startsWith(`ferry: --${name} takes `), found.stderr);
  }
});

Deno.test("ferry says of addresses, pins and files what is wrong with them", async () => {
  await using dir = new TempDir();
  const address = /^ferry: "a b" is no address: write HOST:PORT\n$/;
  const cases: [argv: string[], says: RegExp][] = [
    [["ping", "--server", "a b"], address],
    [["doctor", "--udp", "a b"], address],
    [["echo", "--udp", "a b"], address],
    [["echo", "--tcp", "a b"], address],
    [["ls", "--pin", "sha256:00"], /"sha256:00" is no pin: write sha256: and 64 hexadecimal/],
    [["ls", "--token-file", dir.path], /it is a directory: a regular file is needed/],
    [["ls", "--ca", dir.path], /it is a directory: a regular file is needed/],
    [["ls", "--ca", dir.write("ca", "x")], /there is none in PEM/],
    [["ls", "--config", dir.path], /it is a directory: a regular file is needed/],
    [["ls", "--config", dir.pipe("pipe")], /it is a pipe: a regular file is needed/],
    [["ls", "--config", dir.write("config", 'servr = "a"')], /there is no option "servr"/],
  ];
  for (const [argv, says] of cases) {
    const found = await ferry(argv);
    assertOneLine(found, argv.join(" "));
    assertMatch(found.stderr, says, argv.join(" "));
  }
});

Deno.test("ferryd says of each option with a wrong value what it takes", async () => {
  const wrong = Object.entries(SERVE.options as Readonly<Record<string, OptionSpec>>)
    .filter(([name]) => !["help", "version", "check-config"].includes(name))
    .flatMap(([name, option]) => wrongFor(option).slice(0, 1).map((value) => [name, value]));
  const args = wrong.map(([name, value]) => `--${name}=${value}`);
  const all = await ferryd(["--check-config", ...args]);
  assertEquals([all.code, all.stdout], [2, ""]);
  const lines = all.stderr.trimEnd().split("\n");
  assertEquals(
    lines.map((line) => /^ferryd: --([\w-]+) takes /.exec(line)?.[1]).sort(),
    wrong.map(([name]) => name).sort(),
  );
  // A start says the first of them.
  assertOneLine(await ferryd(args), "ferryd");
  for (
    const argv of [["cert", "--host", "a", "--expires", "99999d"], [
      "token",
      "new",
      "--expires",
      "0",
    ]]
  ) {
    assertOneLine(await ferryd(argv), argv.join(" "));
  }
});
