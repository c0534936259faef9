import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "node:fs";
import {
  DENO,
  ferry,
  Ferryd,
  ferryd,
  type Launch,
  programArgs,
  TempDir,
} from "../../support/programs.ts";

const ignore = Deno.build.os === "windows";

/** Waits until a file is there. */
async function appeared(dir: string, path: string): Promise<void> {
  using watcher = Deno.watchFs(dir);
  if (existsSync(path)) return;
  for await (const _ of watcher) if (existsSync(path)) return;
}

Deno.test({
  name: "the log and the audit trail go on in new files after SIGUSR1, and lose no line",
  ignore,
  fn: async () => {
    await using dir = new TempDir();
    const [root, logs] = [dir.join("root"), dir.join("logs")];
    for (const path of [root, logs]) Deno.mkdirSync(path);
    const server = await Ferryd.start(root, [
      ...["--log-file", `${logs}/log`, "--audit", `${logs}/audit`, "--log", "json"],
    ]);
    dir.write("a", "text");
    const put = (name: string) =>
      ferry(["put", "a", "--as", name], { cwd: dir.path, server: server.address });
    assertEquals((await put("first")).code, 0);
    for (const name of ["log", "audit"]) Deno.renameSync(`${logs}/${name}`, `${logs}/${name}.1`);
    Deno.kill(server.pid, "SIGUSR1");
    for (const name of ["log", "audit"]) await appeared(logs, `${logs}/${name}`);
    assertEquals((await put("second")).code, 0);
    await ferry(["get", "second", "--out", "b"], { cwd: dir.path, server: server.address });
    const { stderr } = await server.stop();
    assertEquals(stderr, "");
    const entriesOf = (name: string) => {
      const path = `${logs}/${name}`;
      assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
      return Deno.readTextFileSync(path).trimEnd().split("\n").map((line) => JSON.parse(line));
    };
    const told = (name: string) =>
      entriesOf(name).map(({ event, op, name }) => [event, op, name].filter(Boolean).join(" "));
    assertEquals(told("log.1"), ["put first"]);
    assertEquals(told("log"), ["put second", "get second"]);
    assertEquals(told("audit.1"), ["started", "operation put first"]);
    assertEquals(told("audit"), ["operation put second", "stopped"]);
    const [{ time, request, peer, ok, checksum }] = entriesOf("audit");
    assertEquals(new Date(time).toISOString(), time);
    assertMatch(`${request} ${peer}`, /^[0-9a-f]{12}\.\d+ 127\.0\.0\.1:\d+$/);
    assertEquals([ok, checksum], [true, "1cb251ec0d568de6a929b520c4aed8d1"]);
  },
});

Deno.test({
  name: "ferryd writes its log to a named pipe, and does not wait for a reader to come",
  ignore,
  fn: async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    dir.pipe("log");
    const server = await Ferryd.start(dir.join("root"), ["--log-file", dir.join("log")]);
    // Opens it anew, which does not wait either.
    Deno.kill(server.pid, "SIGUSR1");
    assertEquals((await ferry(["mkdir", "d"], { server: server.address })).code, 0);
    const reader = new Deno.Command("cat", { args: [dir.join("log")], stdout: "piped" }).spawn();
    assertEquals((await ferry(["mkdir", "e"], { server: server.address })).code, 0);
    assertEquals((await server.stop()).stderr, "");
    const { stdout } = await reader.output();
    const log = new TextDecoder().decode(stdout);
    for (const name of ["d", "e"]) assertStringIncludes(log, `mkdir "${name}": `);
  },
});

Deno.test({
  name: "ferryd goes on where its log cannot be opened anew, and says so where it can be read",
  ignore,
  fn: async () => {
    await using dir = new TempDir();
    const [root, logs] = [dir.join("root"), dir.join("logs")];
    for (const path of [root, logs]) Deno.mkdirSync(path);
    const server = await Ferryd.start(root, ["--log-file", `${logs}/log`]);
    const make = (name: string) => ferry(["mkdir", name], { server: server.address });
    Deno.removeSync(logs, { recursive: true });
    Deno.kill(server.pid, "SIGUSR1");
    assertEquals((await make("d")).code, 0);
    Deno.mkdirSync(logs);
    Deno.kill(server.pid, "SIGUSR1");
    await appeared(logs, `${logs}/log`);
    assertEquals((await make("e")).code, 0);
    const { stderr } = await server.stop();
    assertEquals(
      stderr,
      `ferryd: Cannot write to "${logs}/log": no such file or directory; the file that is open ` +
        "stays in use\n",
    );
    assertStringIncludes(Deno.readTextFileSync(`${logs}/log`), 'mkdir "e": ');
  },
});

Deno.test("ferryd does not start without its log or its audit trail", async (t) => {
  await using dir = new TempDir();
  const both = ["--log-file", dir.join("log"), "--audit", dir.join("log")];
  const mixed = await ferryd(["--root", dir.path, "--listen", "127.0.0.1:0", ...both]);
  assertEquals(mixed.code, 2);
  assertStringIncludes(mixed.stderr, "ferryd: --log-file and --audit are both ");
  for (const option of ["--log-file", "--audit"]) {
    await t.step(option, async () => {
      const args = ["--root", dir.path, "--listen", "127.0.0.1:0", option];
      const isDirectory = await ferryd([...args, dir.path]);
      assertEquals(isDirectory.code, 5);
      assertStringIncludes(isDirectory.stderr, "it is a directory");
      const missing = await ferryd([...args, dir.join("none/file")]);
      assertEquals(missing.code, 4);
      assertStringIncludes(missing.stderr, "no such file or directory");
    });
  }
});

Deno.test({
  name: "ferryd serves on where its log and its audit trail cannot be written, and says so once",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using dir = new TempDir();
    // Only a program with all permissions may open what is below /dev.
    const launch: Launch = (...of) => {
      const [run = "", ...rest] = programArgs(...of);
      return [DENO, run, "--allow-all", ...rest.filter((arg) => !/^--(allow|deny)-/.test(arg))];
    };
    const args = (log: string, audit: string) => ["--log-file", log, "--audit", audit];
    const full = await Ferryd.start(dir.path, args(dir.join("log"), "/dev/full"), { launch });
    const list = () => ferry(["ls"], { server: full.address });
    const make = (name: string) => ferry(["mkdir", name], { server: full.address });
    assertEquals([(await make("d")).code, (await make("e")).code, (await list()).code], [0, 0, 0]);
    await full.stop();
    const log = Deno.readTextFileSync(dir.join("log"));
    assertEquals(log.match(/The audit trail cannot be written/g)?.length, 1, log);
    const other = await Ferryd.start(dir.path, args("/dev/full", dir.join("audit")), { launch });
    assertEquals((await ferry(["ls"], { server: other.address })).code, 0);
    const { stderr } = await other.stop();
    assertEquals(stderr.match(/the log cannot be written/g)?.length, 1, stderr);
    // What is no file takes both.
    const both = await Ferryd.start(dir.path, args("/dev/null", "/dev/null"), { launch });
    assertEquals((await both.stop()).code, 0);
  },
});
