import { assertEquals, assertStringIncludes } from "@std/assert";
import { PROGRAMS, PROJECT, runtimeFlags } from "../../packaging/program.ts";
import { DENO, Ferryd, type Launch, programArgs, TempDir } from "../support/programs.ts";

Deno.test("runtimeFlags() asks for what deno.json gives, and for nothing else", () => {
  const config = {
    permissions: {
      some: { net: true, run: false, read: [], env: ["FERRY_*", "HOME"], sys: ["osUptime"] },
      none: {},
    },
    unstable: ["net", "kv"],
  };
  const flags = (set: string) => runtimeFlags({ permissions: set as "client" }, config);
  const always = ["--no-prompt", "--deny-import", "--unstable-net", "--unstable-kv"];
  assertEquals(flags("none"), always);
  assertEquals(flags("missing"), always);
  assertEquals(flags("some"), [
    ...always,
    "--allow-net",
    "--allow-env=FERRY_*,HOME",
    "--allow-sys=osUptime",
  ]);
});

Deno.test("runtimeFlags() of the real programs neither let everything happen nor run anything", () => {
  for (const program of PROGRAMS) {
    const flags = runtimeFlags(program);
    assertEquals(flags.filter((flag) => /^(-A|--allow-all|--allow-ffi)/.test(flag)), []);
    assertEquals(Deno.statSync(PROJECT + program.entry).isFile, true);
  }
  assertEquals(runtimeFlags(PROGRAMS[0]!).filter((flag) => flag.startsWith("--allow-run")), []);
});

Deno.test("the tasks that serve give V8 the flags that ferryd has elsewhere", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${PROJECT}deno.json`));
  const { v8Flags } = PROGRAMS.find(({ name }) => name === "ferryd")!;
  const flag = `--v8-flags=${v8Flags!.join(",")}`;
  for (const task of ["serve", "serve:exec"]) {
    assertStringIncludes(tasks[task].command, `deno run --quiet ${flag} -P=`);
  }
  assertEquals(runtimeFlags(PROGRAMS[1]!).includes(flag), true);
});

Deno.test("ferryd gives up the permission to run programs where it has no commands to run", async () => {
  await using dir = new TempDir();
  const look = dir.write(
    "look.ts",
    `const { listen } = Deno;
     Object.assign(Deno, { listen(options: Deno.TcpListenOptions) {
       console.error("run is", Deno.permissions.querySync({ name: "run" }).state);
       return listen(options);
     } });`,
  );
  const launch: Launch = () => {
    const args = programArgs("ferryd", { runsCommands: true });
    return [DENO, ...args.slice(0, -1), "--preload", look, args.at(-1)!];
  };
  for (
    const [args, state] of [
      [[], "prompt"],
      [["--classic-exec", "127.0.0.1:0", "--allow-shell"], "granted"],
    ] as const
  ) {
    await using server = await Ferryd.start(dir.path, [...args], { launch });
    assertStringIncludes((await server.stop()).stderr, `run is ${state}\n`);
  }
});
