import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { COMMANDS, FERRY } from "../../../client/cli/commands/all.ts";
import type { CommandSpec } from "../../../lib/cli/command_spec.ts";
import { renderCompletions, type Shell, SHELLS } from "../../../lib/cli/completions.ts";
import { COMMANDS as SERVER_COMMANDS } from "../../../server/cli/commands/all.ts";
import { SERVE } from "../../../server/cli/serve_spec.ts";
import { DENO, ferry, programArgs, PROJECT, TempDir } from "../../support/programs.ts";

/** A program with commands of one word and of two, and with awkward texts. */
const SPECS: readonly CommandSpec[] = [
  {
    name: "tool",
    usage: "",
    summary: "A tool",
    arguments: { min: 0, max: 0 },
    options: {
      root: { kind: "text", value: "DIR", completes: "directories", help: "where" },
      verbose: { kind: "flag", short: "v", help: 'say `more`: $HOME [it\'s "all"]' },
    },
  },
  {
    name: "tool send",
    usage: "PATH... [--mode MODE]",
    summary: "Send: files",
    arguments: { min: 1, max: Infinity },
    options: {
      mode: { kind: "text", short: "m", value: "MODE", choices: ["fast", "safe"], help: "how" },
      config: { kind: "text", value: "FILE", help: "a file" },
      to: { kind: "text", value: "DIR", help: "elsewhere" },
      only: { kind: "list", value: "PATTERN", help: "some" },
      quiet: { kind: "flag", help: "say nothing" },
    },
  },
  {
    name: "tool token new",
    usage: "NAME",
    summary: "Make a token",
    arguments: { min: 1, max: 1 },
    options: { scope: { kind: "text", value: "SCOPES", help: "what for" } },
  },
  {
    name: "tool token list",
    usage: "",
    summary: "Show tokens",
    arguments: { min: 0, max: 0 },
    options: {},
  },
  {
    name: "tool colour",
    usage: "red|blue",
    summary: "Choose a colour",
    arguments: { min: 1, max: 1, choices: ["red", "blue"] },
    options: {},
  },
];

/** What each line is completed to: all that there is to choose from. */
const CASES: readonly [line: string, words: readonly string[]][] = [
  ["tool ", ["colour", "send", "token"]],
  ["tool s", ["send"]],
  ["tool token ", ["list", "new"]],
  ["tool token n", ["new"]],
  ["tool token new --s", ["--scope"]],
  ["tool send --q", ["--quiet"]],
  ["tool send --mode ", ["fast", "safe"]],
  ["tool send -m s", ["safe"]],
  ["tool send --only x --mode f", ["fast"]],
  ["tool send --to ", []],
  ["tool send --config fi", ["file1", "file2"]],
  ["tool send fi", ["file1", "file2"]],
  ["tool send --quiet fi", ["file1", "file2"]],
  ["tool --root d", ["dir"]],
  ["tool token new fi", []],
  ["tool colour ", ["blue", "red"]],
  ["tool colour b", ["blue"]],
];

/** A shell that is tested for real where it is installed. */
function isInstalled(shell: Shell): boolean {
  try {
    return new Deno.Command(shell, { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** For each line the words that a real shell puts in the place of its last one. */
async function complete(
  shell: Shell,
  dir: TempDir,
  lines: readonly string[],
): Promise<string[][]> {
  const path = dir.write(`completions.${shell}`, renderCompletions(shell, "tool", SPECS));
  const load = `source ${path}`;
  const run = async (command: string, args: readonly string[]) => {
    const { stdout, stderr, success } = await new Deno.Command(command, {
      args: [...args],
      cwd: dir.join("cwd"),
      env: { SETUP_FILE: dir.join(`setup.${shell}`), HOME: dir.path, XDG_CONFIG_HOME: dir.path },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  };
  if (shell === "fish") {
    const ask = lines.map((line) => `complete --do-complete "${line}"; echo =`);
    const text = await run("fish", ["--no-config", "-c", [load, ...ask].join("\n")]);
    return text.split("=\n").map((rows) =>
      rows.split("\n").map((row) => row.split("\t")[0]!).filter((word) => word !== "")
    );
  }
  const text = await run("python3", [`${PROJECT}tests/support/complete.py`, shell, load, ...lines]);
  return text.split("\n").slice(0, -1).map((completed, turn) => {
    const line = lines[turn]!;
    const typed = line.slice(0, line.lastIndexOf(" ") + 1);
    // What was left as it had been typed was not completed.
    return completed.slice(typed.length).trim().split(/ +/)
      .filter((word) => word !== line.slice(typed.length));
  });
}

for (const shell of SHELLS) {
  const ignore = !isInstalled(shell) || Deno.build.os === "windows";
  Deno.test({
    name: `renderCompletions() makes a real ${shell} complete commands, options, values and files` +
      (ignore ? ` (ignored: needs ${shell})` : ""),
    ignore,
    fn: async () => {
      await using dir = new TempDir();
      Deno.mkdirSync(dir.join("cwd/dir"), { recursive: true });
      for (const name of ["file1", "file2"]) dir.write(`cwd/${name}`, "");
      const completed = await complete(shell, dir, CASES.map(([line]) => line));
      assertEquals(
        Object.fromEntries(CASES.map(([line], turn) => {
          const words = completed[turn] ?? [];
          return [line, words.map((word) => word.replace(/\/$/, "")).sort()];
        })),
        Object.fromEntries(CASES),
      );
    },
  });
}

/** The commands of the real programs. */
const REAL = { ferry: [FERRY, ...COMMANDS], ferryd: [SERVE, ...SERVER_COMMANDS] };

Deno.test("renderCompletions() names every command and option of the real programs", () => {
  for (const [program, specs] of Object.entries(REAL)) {
    for (const shell of SHELLS) {
      const script = renderCompletions(shell, program, specs);
      for (const { name, options } of specs) {
        assertStringIncludes(script, name.split(" ").at(-1)!);
        for (const option of Object.keys(options)) {
          assertStringIncludes(
            script,
            shell === "fish" ? `--long-option ${option}` : `--${option}`,
          );
        }
      }
    }
  }
});

Deno.test("ferry and ferryd completions print the script, and know no other shell", async () => {
  for (const program of ["ferry", "ferryd"] as const) {
    const launch = () => [DENO, ...programArgs(program)] as const;
    const run = (...args: string[]) => ferry(["completions", ...args], { launch });
    const script = renderCompletions("fish", program, REAL[program]);
    assertEquals(await run("fish"), { code: 0, stdout: script, stderr: "" });
    for (const args of [["tcsh"], [], ["bash", "zsh"]]) {
      const { code, stdout, stderr } = await run(...args);
      assertEquals([code, stdout], [2, ""]);
      assertStringIncludes(stderr, `${program} completions bash|zsh|fish`);
    }
    assertStringIncludes((await run("--help")).stdout, `source <(${program} completions bash)`);
  }
});
