import { assertEquals, assertThrows } from "@std/assert";
import type { OptionTable } from "../../../lib/cli/command_spec.ts";
import { readConfigFile } from "../../../lib/cli/config_file.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { TempDir } from "../../support/programs.ts";

const OPTIONS: OptionTable = {
  server: { kind: "text", help: "where" },
  retries: { kind: "count", help: "how often" },
  timeout: { kind: "time", help: "how long" },
  quiet: { kind: "flag", help: "whether" },
  level: { kind: "count", implied: "3", help: "how hard" },
  exclude: { kind: "list", help: "what" },
};

Deno.test("readConfigFile() gives the options as they would be written on a command line", async () => {
  await using dir = new TempDir();
  const path = dir.write(
    "ferry.toml",
    [
      "# where the files go",
      'server = "files.example.org"',
      "retries = 3",
      'timeout = "90s"',
      "quiet = true",
      'exclude = ["*.tmp", "a b"]',
    ].join("\n"),
  );
  assertEquals(Object.fromEntries(readConfigFile(path, OPTIONS)), {
    server: "files.example.org",
    retries: "3",
    timeout: "90s",
    quiet: true,
    exclude: ["*.tmp", "a b"],
  });
  assertEquals(readConfigFile(dir.write("empty.toml", ""), OPTIONS).size, 0);
});

Deno.test("readConfigFile() says in one line what is wrong with a file", async () => {
  await using dir = new TempDir();
  for (
    const [content, reason] of [
      ['sever = "x"', 'there is no option "sever". Did you mean "server"?'],
      ["toString = 1", 'there is no option "toString"'],
      ['quiet = "yes"', "quiet is not true or false"],
      ["server = false", "server is not a text or a number"],
      ['server = ["a"]', "server is not a text or a number"],
      ["exclude = [1]", "exclude is not a text or a number"],
      ["[server]\nport = 1", "server is not a text or a number"],
      ["level = [1]", "level is not true or false, a text or a number"],
    ] as const
  ) {
    const path = dir.write("ferry.toml", content);
    const error = assertThrows(() => readConfigFile(path, OPTIONS), FerryError);
    assertEquals(
      [error.code, error.message],
      ["usage", `Cannot read the configuration "${path}": ${reason}`],
    );
  }
  for (const path of [dir.write("junk", "server = = 1"), dir.join("missing"), dir.path]) {
    const error = assertThrows(() => readConfigFile(path, OPTIONS), FerryError);
    assertEquals([error.code, error.message.includes("\n")], ["usage", false], error.message);
  }
});
