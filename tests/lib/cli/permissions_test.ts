import { assertEquals, assertStringIncludes } from "@std/assert";
import { leadsToSpecial } from "../../../lib/cli/permissions.ts";
import type { Program } from "../../../packaging/program.ts";
import {
  DENO,
  ferry,
  Ferryd,
  type Launch,
  programArgs,
  PROJECT,
  TempDir,
} from "../../support/programs.ts";

Deno.test({
  name: "leadsToSpecial() tells where the runtime opens nothing without every permission",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using dir = new TempDir();
    Deno.symlinkSync("/dev/shm", dir.join("shm"));
    const table: readonly [string, boolean][] = [
      ["/dev/shm", true],
      ["/dev/shm/not/there", true],
      ["/proc/self/status", true],
      ["/sys", true],
      ["/dev/fd/0", true],
      [dir.join("shm"), true],
      [dir.join("shm/new/file"), true],
      [dir.path, false],
      [dir.join("not/there"), false],
      ["/device", false],
      ["name", false],
      ["", false],
    ];
    for (const [path, special] of table) {
      assertEquals([path, leadsToSpecial(path)], [path, special]);
    }
  },
});

/** What a program that is given everything has when it has given up what it can. */
function leftOf(privileges: readonly string[], values: readonly string[]): Record<string, unknown> {
  const code = `
    import { giveUp } from ${JSON.stringify(`${PROJECT}lib/cli/permissions.ts`)};
    const env = giveUp(${JSON.stringify(privileges)}, ${JSON.stringify(values)});
    const state = (name) => Deno.permissions.querySync({ name }).state;
    const left = ["env", "ffi", "run", "read", "write", "net"].filter((name) => state(name) === "granted");
    console.log(JSON.stringify({ left, known: env("FERRY_X"), other: env("OTHER") }));
  `;
  const { stdout, stderr } = new Deno.Command(DENO, {
    args: ["eval", "--quiet", "--config", `${PROJECT}deno.json`, code],
    env: { FERRY_X: "x", OTHER: "y" },
  }).outputSync();
  const text = new TextDecoder().decode(stdout);
  if (text === "") throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

Deno.test("giveUp() leaves what is not named, and the variables of ferry", () => {
  const left = ["read", "write", "net"];
  const few = leftOf(["env", "ffi", "run"], ["--root=/tmp", "name"]);
  assertEquals(few, { left, known: "x" });
});

Deno.test({
  name: "giveUp() gives up nothing where a path leads to where all is needed",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const all = ["env", "ffi", "run", "read", "write", "net"];
    const { left } = leftOf(["env", "ffi", "run"], ["name", "--root=/dev/shm/x"]);
    assertEquals(left, all);
  },
});

/** The programs as the tasks start them. */
const byTask: Launch = (program) => {
  const set = program === "ferry" ? "client" : "server";
  const entry = programArgs(program, { fromSources: true }).at(-1)!;
  return [DENO, "run", "--quiet", "--config", `${PROJECT}deno.json`, `-P=${set}`, entry];
};

/** Says at the end which permissions a program still has. */
const SAYS_AT_THE_END = `addEventListener("unload", () => {
  const granted = (name) => Deno.permissions.querySync({ name }).state === "granted";
  console.log("left: " + ["env", "ffi", "run"].filter(granted));
});`;

const STARTS: readonly [Program["name"], string[], string][] = [
  ["ferry", ["put", "missing", "--server", "127.0.0.1:9", "--retries", "0"], ""],
  ["ferryd", ["--root", "missing"], ""],
  ["ferryd", ["--root", "missing", "--allow-shell"], "env,run"],
  ["ferry", ["put", "/proc/missing", "--server", "127.0.0.1:9", "--retries", "0"], "env,ffi,run"],
  ["ferryd", ["--root", "/dev/missing"], "env,ffi,run"],
];

for (const [program, args, left] of STARTS) {
  Deno.test({
    name: `${program} ${args.join(" ")}, as its task starts it, keeps ${
      left || "nothing"
    } of env, ffi and run`,
    // Elsewhere other paths take every permission. Deno 2.4 has no sets of permissions.
    ignore: Deno.build.os !== "linux" || Deno.version.deno.startsWith("2.4."),
    fn: async () => {
      await using dir = new TempDir();
      const hook = dir.write("hook.js", SAYS_AT_THE_END);
      const [command, run, ...rest] = byTask(program, { runsCommands: false });
      const launch: Launch = () => [command, run!, `--preload=${hook}`, ...rest];
      const { stdout } = await ferry(args, { launch, cwd: dir.path });
      assertEquals(stdout, `left: ${left}\n`);
    },
  });
}

/** Runs a command, since this process may not look there; undefined where it fails. */
function by(command: string, ...args: string[]): string | undefined {
  const { success, stdout } = new Deno.Command(command, { args }).outputSync();
  return success ? new TextDecoder().decode(stdout).trim() : undefined;
}

const shm = Deno.build.os === "linux" ? by("mktemp", "-d", "-p", "/dev/shm") : undefined;

Deno.test({
  name: `files in /dev/shm are served and moved${shm ? "" : " (ignored: there is no /dev/shm)"}`,
  ignore: shm === undefined,
  fn: async () => {
    using removed = new DisposableStack();
    removed.defer(() => by("rm", "-r", shm!));
    by("mkdir", `${shm}/root`);
    by("sh", "-c", `printf content >${shm}/file`);
    await using server = await Ferryd.start(`${shm}/root`, [], { launch: byTask });
    const options = { server: server.address, launch: byTask };
    for (const args of [["put", `${shm}/file`], ["get", "file", "--out", `${shm}/back`]]) {
      const { code, stderr } = await ferry(args, options);
      assertEquals([code, stderr], [0, ""]);
    }
    for (const path of ["root/file", "back"]) assertEquals(by("cat", `${shm}/${path}`), "content");
    // With fewer permissions it is said what is missing.
    const few = await ferry(["get", "file", "--out", `${shm}/more`], { server: server.address });
    assertEquals(few.code, 3);
    assertStringIncludes(few.stderr, "--allow-all");
  },
});
