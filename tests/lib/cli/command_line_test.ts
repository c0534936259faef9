import { COMMAND, OPTIONS, REAL } from "../../support/command_specs.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import {
  givesFlag,
  parseCommandLine,
  type Settings,
  splitCommandLine,
} from "../../../lib/cli/command_line.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { TempDir } from "../../support/programs.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

const NOTHING_GIVEN = {
  to: undefined,
  server: "localhost",
  when: "never" as const,
  jobs: undefined,
  "max-size": 1024 * 1024,
  timeout: undefined,
  quiet: false,
  "dry-run": false,
  config: undefined,
};

function settings(env: Record<string, string> = {}): Settings {
  return {
    prefix: "PROG",
    env: (name) => env[name],
    configurable: { ...OPTIONS, other: { kind: "text", help: "another command's" } },
  };
}

function parse(argv: string[], env: Record<string, string> = {}) {
  return parseCommandLine(COMMAND, argv, settings(env));
}

function usageOf(run: () => unknown): string {
  const error = assertThrows(run, FerryError);
  assertEquals(error.code, "usage", error.message);
  return error.message;
}

Deno.test("parseCommandLine() takes no value of a list that is none of the choices", () => {
  const only = { kind: "list", choices: ["ext4", "btrfs"], help: "those" } as const;
  const command = { ...COMMAND, options: { only } };
  const parsed = (...argv: string[]) => parseCommandLine(command, argv, settings()).options.only;
  assertEquals(parsed("--only", "btrfs", "--only=ext4"), ["btrfs", "ext4"]);
  assertStringIncludes(
    usageOf(() => parsed("--only", "ext4", "--only", "btrsf")),
    '--only takes ext4, btrfs, not "btrsf". Did you mean "btrfs"?',
  );
});

Deno.test("parseCommandLine() gives an option without a value the implied one", () => {
  const level = { kind: "count", range: [1, 9], short: "z", implied: "3", help: "it" } as const;
  const command = { ...COMMAND, options: { level, quiet: OPTIONS.quiet, server: OPTIONS.server } };
  const parsed = (argv: string[], env = {}) => {
    const { options, args } = parseCommandLine(command, argv, settings(env));
    return [options.level, options.quiet, args];
  };
  assertEquals(parsed(["a"]), [undefined, false, ["a"]]);
  assertEquals(parsed(["--level", "a"]), [3, false, ["a"]]);
  assertEquals(parsed(["-z", "5"]), [3, false, ["5"]]);
  assertEquals(parsed(["--level=5", "a"]), [5, false, ["a"]]);
  assertEquals(parsed(["-z=5", "a"]), [5, false, ["a"]]);
  for (const both of ["-zq", "-qz"]) assertEquals(parsed([both, "a"]), [3, true, ["a"]]);
  assertEquals(parsed(["-sz"]), [undefined, false, []]);
  assertEquals(parsed(["--", "-z"]), [undefined, false, ["-z"]]);
  assertEquals(parsed([], { PROG_LEVEL: "7" }), [7, false, []]);
  assertEquals(parsed([], { PROG_LEVEL: "true" }), [3, false, []]);
  for (const argv of [["--level=false"], ["-z=off"], ["-z", "--level=no"]]) {
    assertEquals(parsed(argv, { PROG_LEVEL: "7" }), [undefined, false, []], `${argv}`);
  }
  assertStringIncludes(usageOf(() => parsed(["-z=0"])), "--level takes a whole number from 1 to 9");
});

Deno.test("parseCommandLine() gives defaults where nothing is given", () => {
  assertEquals(parse([]), { options: NOTHING_GIVEN, args: [] });
});

Deno.test("parseCommandLine() reads each kind of option", () => {
  const { options, args } = parse(
    "a --to dir --server=host:1 b --when always --jobs 4 --max-size 2k --timeout 1.5s -q --dry-run c"
      .split(" "),
  );
  assertEquals(
    options,
    {
      ...NOTHING_GIVEN,
      to: "dir",
      server: "host:1",
      when: "always" as const,
      jobs: 4,
      "max-size": 2000,
      timeout: 1500,
      quiet: true,
      "dry-run": true,
    } as unknown as typeof options,
  );
  assertEquals(args, ["a", "b", "c"]);
});

Deno.test("parseCommandLine() reads short forms", () => {
  assertEquals(parse(["-s", "host", "-q"]).options.server, "host");
  const { server, quiet } = parse(["-qs", "host"]).options;
  assertEquals({ server, quiet }, { server: "host", quiet: true });
});

Deno.test("parseCommandLine() leaves texts as they are", () => {
  assertEquals(parse(["--to", "007"]).options.to, "007");
  assertEquals(parse(["--to=a=b"]).options.to, "a=b");
  assertEquals(parse(["--to", "中文 x"]).options.to, "中文 x");
  assertEquals(parse(["--to=-x"]).options.to, "-x");
  assertEquals(parse(["--to", "a", "--to", "b"]).options.to, "b", "the last one counts");
  assertEquals(parse(["1", "0x10", "1e3"]).args, ["1", "0x10", "1e3"]);
  assertEquals(parse(["-", "--", "--to", "-q"]).args, ["-", "--to", "-q"]);
});

Deno.test("parseCommandLine() refuses what there is no option for, and names it", () => {
  const wrong = ["--nope", "--nope=secret", "-x", "-qx", "--no-quiet", "--To", "--__proto__=x"];
  for (const arg of wrong) {
    const message = usageOf(() => parse([arg]));
    assertMatch(message, /^There is no option -/);
    assertStringIncludes(message, "(see prog cmd --help)");
    assert(!message.includes("secret"), "the value is shown");
  }
  assertStringIncludes(usageOf(() => parse(["--nope=secret"])), "no option --nope (");
});

Deno.test("parseCommandLine() refuses an option without its value", () => {
  for (const argv of [["--to"], ["--to="], ["--to", "--quiet"], ["--to", ""]]) {
    assertEquals(
      usageOf(() => parse(argv)),
      "--to needs a value: --to DIR (see prog cmd --help)",
    );
  }
  assertStringIncludes(usageOf(() => parse(["--jobs"])), "--jobs needs a value: --jobs VALUE");
  assertStringIncludes(usageOf(() => parse(["-s"])), "--server needs a value: --server HOST");
});

Deno.test("parseCommandLine() refuses a value that is none, and says what it takes", () => {
  const table: [string, string, string][] = [
    ["when", "sometimes", "never, always"],
    ["jobs", "many", "a whole number"],
    ["jobs", "-1", "a whole number"],
    ["jobs", "1.5", "a whole number"],
    ["jobs", "1000000000", "a whole number"],
    ["max-size", "big", "a size such as 500k, 2M or 1GiB"],
    ["timeout", "soon", "a time such as 500ms, 30s, 5m, 2h or 7d"],
    ["timeout", "5", "a time such as 500ms, 30s, 5m, 2h or 7d"],
  ];
  for (const [name, value, wanted] of table) {
    assertEquals(
      usageOf(() => parse([`--${name}=${value}`])),
      `--${name} takes ${wanted}, not "${value}"`,
    );
  }
});

Deno.test("parseCommandLine() counts the arguments", () => {
  const withArguments = (min: number, max: number, argv: string[]) =>
    parseCommandLine({ ...COMMAND, arguments: { min, max } }, argv, settings()).args;
  assertEquals(withArguments(1, 2, ["a"]), ["a"]);
  assertEquals(withArguments(0, Infinity, ["a", "b", "c", "d"]).length, 4);
  const usage = "prog cmd PATH... [--to DIR] (see prog cmd --help)";
  assertEquals(usageOf(() => withArguments(1, 2, [])), `Nothing was named: ${usage}`);
  assertEquals(usageOf(() => withArguments(2, 2, ["a"])), `Too few arguments: ${usage}`);
  assertEquals(
    usageOf(() => withArguments(0, 1, ["a", "b\n", "c"])),
    `There is no place for "b\\n": ${usage}`,
  );
});

Deno.test("parseCommandLine() takes what is behind the first argument as it is, where it is told to", () => {
  const verbatim = { ...COMMAND, arguments: { min: 0, max: 10 }, verbatim: true };
  const table: [string[], string[], boolean, string][] = [
    [["ls", "-l"], ["ls", "-l"], false, "localhost"],
    [["-q", "ls", "-q", "--to", "x"], ["ls", "-q", "--to", "x"], true, "localhost"],
    [["-q", "--", "ls", "--", "-q"], ["ls", "--", "-q"], true, "localhost"],
    [["ls", "--", "x"], ["ls", "--", "x"], false, "localhost"],
    [["--server", "a", "ls", "--server", "b"], ["ls", "--server", "b"], false, "a"],
    [["--server=a", "ls"], ["ls"], false, "a"],
    [["-s", "a", "ls"], ["ls"], false, "a"],
    [["-sa", "ls"], ["ls"], false, "a"],
    [["-qs", "a", "ls", "-x"], ["ls", "-x"], true, "a"],
    [["-", "-q"], ["-", "-q"], false, "localhost"],
    [["", "-q"], ["", "-q"], false, "localhost"],
    [["--"], [], false, "localhost"],
    [[], [], false, "localhost"],
  ];
  for (const [argv, args, quiet, server] of table) {
    const parsed = parseCommandLine(verbatim, argv, settings());
    const { options } = parsed;
    assertEquals([parsed.args, options.quiet, options.server], [args, quiet, server], `${argv}`);
  }
  assertStringIncludes(
    usageOf(() => parseCommandLine(verbatim, ["-x", "ls"], settings())),
    "There is no option -x",
  );
});

Deno.test("splitCommandLine() tells where options may stand", () => {
  const verbatim = { ...COMMAND, verbatim: true };
  assertEquals(splitCommandLine(COMMAND, ["a", "--help", "--", "-h"]), {
    head: ["a", "--help"],
    verbatim: ["-h"],
  });
  assertEquals(splitCommandLine(verbatim, ["-q", "a", "--help"]), {
    head: ["-q"],
    verbatim: ["a", "--help"],
  });
  assertEquals(splitCommandLine(verbatim, ["--help", "a"]).head, ["--help"]);
});

Deno.test("parseCommandLine() takes from the command line only what is told to be set there only", async () => {
  const timeout = { ...OPTIONS.timeout, argumentOnly: true } as const;
  const command = { ...COMMAND, options: { ...OPTIONS, timeout } };
  await withConfig('timeout = "1s"\n', (path) => {
    const parse = (argv: string[]) =>
      parseCommandLine(command, ["--config", path, ...argv], settings({ PROG_TIMEOUT: "2s" }))
        .options.timeout;
    assertEquals(parse([]), undefined);
    assertEquals(parse(["--timeout", "3s"]), 3000);
  });
});

Deno.test("parseCommandLine() reads the environment", () => {
  const { options } = parse([], {
    PROG_TO: "dir",
    PROG_JOBS: "3",
    PROG_MAX_SIZE: "2k",
    PROG_TIMEOUT: "1s",
    PROG_QUIET: "1",
    PROG_DRY_RUN: "true",
    PROG_SERVER: "",
    OTHER_WHEN: "always",
    TO: "wrong",
  });
  assertEquals(
    options,
    {
      ...NOTHING_GIVEN,
      to: "dir",
      jobs: 3,
      "max-size": 2000,
      timeout: 1000,
      quiet: true,
      "dry-run": true,
    } as unknown as typeof options,
  );
  for (const off of ["0", "false", ""]) {
    assertEquals(parse([], { PROG_QUIET: off }).options.quiet, false, `PROG_QUIET=${off}`);
  }
  assertStringIncludes(usageOf(() => parse([], { PROG_JOBS: "many" })), "--jobs takes");
});

Deno.test("parseCommandLine() takes a flag that is false for one that is given", async () => {
  for (const argv of [["--quiet=false"], ["-q=no"], ["-q", "--quiet=0"], ["-q=off", "a"]]) {
    assertEquals(parse(argv, { PROG_QUIET: "true" }).options.quiet, false, `${argv}`);
  }
  assertEquals(parse(["--quiet=false", "-q"]).options.quiet, true, "the last one counts");
  await withConfig("quiet = true\n", (path) => {
    assertEquals(parse(["--config", path, "-q=false"]).options.quiet, false);
    assertEquals(parse(["--config", path], { PROG_QUIET: "0" }).options.quiet, false);
    assertEquals(parse(["--config", path]).options.quiet, true);
  });
  assertEquals(usageOf(() => parse(["-q=perhaps"])), '--quiet takes true or false, not "perhaps"');
});

Deno.test("givesFlag() finds a flag in each form, and only where options stand", () => {
  const given = (...argv: string[]) => givesFlag(COMMAND, argv, "quiet");
  for (const argv of [["-q"], ["a", "--quiet"], ["--quiet=true"], ["-q=1"], ["--nope", "-q"]]) {
    assertEquals(given(...argv), true, `${argv}`);
  }
  for (const argv of [[], ["--quiet=false"], ["--", "-q"], ["-x"], ["--quiet=perhaps"], ["q"]]) {
    assertEquals(given(...argv), false, `${argv}`);
  }
});

/** A configuration with this text. */
async function withConfig(text: string, run: (path: string) => void): Promise<void> {
  await using dir = new TempDir();
  run(dir.write("config.toml", text));
}

Deno.test("parseCommandLine() reads the config file", async () => {
  const text = `
    # a comment
    to = "dir"
    jobs = 4
    max-size = "2k"
    timeout = "1.5s"
    quiet = true
    dry-run = false
    other = "what this command does not have"
  `;
  await withConfig(text, (path) => {
    const expected = {
      ...NOTHING_GIVEN,
      to: "dir",
      jobs: 4,
      "max-size": 2000,
      timeout: 1500,
      quiet: true,
      config: path,
    };
    const { options } = parse(["--config", path]);
    assertEquals(options, expected as unknown as typeof options);
    assertEquals(parse([], { PROG_CONFIG: path }).options, options);
    assertEquals(parse([]).options.to, undefined);
  });
});

Deno.test("parseCommandLine() takes the argument, else the environment, the file, the default", async () => {
  await withConfig('to = "file"\nserver = "file"\njobs = 1\nquiet = true\n', (path) => {
    const { to, server, jobs, quiet } = parse(["--config", path, "--to=argument"], {
      PROG_TO: "environment",
      PROG_SERVER: "environment",
      PROG_QUIET: "0",
    }).options;
    assertEquals({ to, server, jobs, quiet }, {
      to: "argument",
      server: "environment",
      jobs: 1,
      quiet: false,
    });
    assertEquals(parse(["--config", path, "-q"], { PROG_QUIET: "0" }).options.quiet, true);
  });
});

Deno.test("parseCommandLine() takes what goes first of any three places that say something", async () => {
  await using dir = new TempDir();
  const word = fc.constantFrom("a", "b c", "=", "é", "--", "'\"");
  const maybe = fc.option(word, { nil: undefined });
  const path = dir.join("config.toml");
  fc.assert(fc.property(maybe, maybe, maybe, (argument, variable, key) => {
    const toml = key === undefined ? "" : `server = ${JSON.stringify(key)}\n`;
    Deno.writeTextFileSync(path, toml);
    const argv = argument === undefined ? [] : [`--server=${argument}`];
    const env: Record<string, string> = variable === undefined ? {} : { PROG_SERVER: variable };
    const { options } = parse([...argv, "--config", path], env);
    assertEquals(options.server, argument ?? variable ?? key ?? "localhost");
  }));
});

Deno.test("parseCommandLine() gives options or says what is wrong, whatever it is given", async () => {
  await using dir = new TempDir();
  const path = dir.join("config.toml");
  const option = fc.constantFrom(...Object.keys(OPTIONS), "other", "none", "__proto__");
  const value = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("0", "1", "-1", "1e9", "1GiB", "9".repeat(400), "true", "never", "NaN", ""),
  );
  const arg = fc.oneof(
    value,
    fc.tuple(option, value).map(([name, value]) => `--${name}=${value}`),
    option.map((name) => `--${name}`),
    option.map((name) => `--no-${name}`),
    fc.constantFrom("-s", "-q", "-qs", "-", "--", "-=", "--=", "--config", path),
  );
  const variable = fc.tuple(option, value)
    .map(([name, value]) => [`PROG_${name.toUpperCase().replaceAll("-", "_")}`, value]);
  const line = fc.oneof(
    value,
    fc.tuple(option, fc.oneof(fc.jsonValue(), value))
      .map(([name, value]) => `${name} = ${JSON.stringify(value)}`),
    fc.constantFrom("[server]", "[[to]]", 'to = """', "jobs = 1979-05-27", "jobs = nan"),
  );
  const lists = [fc.array(arg), fc.array(variable), fc.array(line, { maxLength: 4 })] as const;
  fc.assert(
    fc.property(...lists, (argv, env, lines) => {
      Deno.writeTextFileSync(path, lines.join("\n"));
      try {
        parse(argv, Object.fromEntries(env));
      } catch (error) {
        assert(error instanceof FerryError, `${error}`);
        assert(["usage", "not_found", "io", "not_a_file"].includes(error.code), error.message);
        assertEquals(/\n\s+at |file:\/\/\//.test(error.message), false, error.message);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("parseCommandLine() refuses a config file that is wrong, and says where", async () => {
  const table: [string, string][] = [
    ["nope = 1", 'there is no option "nope"'],
    ["toString = 1", 'there is no option "toString"'],
    ["[to]\nx = 1", "to is not a text or a number"],
    ["to = [1]", "to is not a text or a number"],
    ["to = true", "to is not a text or a number"],
    ["to = 2024-01-01", "to is not a text or a number"],
    ['quiet = "yes"', "quiet is not true or false"],
    ["quiet = 1", "quiet is not true or false"],
    ["jobs = 1.5", "--jobs takes a whole number"],
    ['when = "sometimes"', "--when takes never, always"],
    ["to = ", "line 1"],
    ["x", "line 1"],
  ];
  for (const [text, problem] of table) {
    await withConfig(text, (path) => {
      const message = usageOf(() => parse(["--config", path]));
      assertStringIncludes(message, problem, text);
      if (!problem.startsWith("--")) {
        assertStringIncludes(message, `Cannot read the configuration ${JSON.stringify(path)}: `);
      }
    });
  }
});

Deno.test("parseCommandLine() refuses a config file that cannot be read", async () => {
  await using dir = new TempDir();
  const missing = dir.join("missing.toml");
  assertEquals(
    usageOf(() => parse(["--config", missing])),
    `Cannot read the configuration ${JSON.stringify(missing)}: no such file or directory`,
  );
  assertStringIncludes(usageOf(() => parse([], { PROG_CONFIG: dir.path })), "it is a directory");
});

Deno.test("parseCommandLine() reads no config file where the command has no such option", () => {
  const { to } = { to: OPTIONS.to };
  const command = { ...COMMAND, options: { to } };
  const { options } = parseCommandLine(command, [], settings({ PROG_CONFIG: "/nowhere" }));
  assertEquals(options, { to: undefined });
});

Deno.test("the defaults and short forms of the real commands are right", () => {
  for (const command of REAL) {
    const required = { ...command, arguments: { min: 0, max: 0 } };
    parseCommandLine(required, [], { prefix: "X", env: () => undefined, configurable: {} });
    const short = Object.values(command.options).flatMap(({ short }) => short ?? []);
    assertEquals(short, [...new Set(short)], `${command.name} has a letter twice`);
  }
});
