import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { assertStorable, type FileName } from "../../../lib/core/remote_name.ts";
import { LINUX, platformOf, POSIX, WINDOWS } from "../../../lib/core/platform.ts";
import { resolve } from "../../../lib/core/paths.ts";
import {
  DENO,
  ferry,
  Ferryd,
  type Launch,
  programArgs,
  PROJECT,
  TempDir,
} from "../../support/programs.ts";
import { assertCode } from "../../support/assertions.ts";

/** Runs a program as on Windows. */
const onWindows: Launch = (program) => {
  const args = programArgs(program);
  return [
    DENO,
    ...args.slice(0, -1),
    "--preload",
    `${PROJECT}tests/support/windows.ts`,
    args.at(-1)!,
  ];
};

/** How Windows writes a path. */
const windowsPath = (path: string) => `C:${path.replaceAll("/", "\\")}`;

Deno.test("platformOf() knows Windows, and takes every other system for one of POSIX", () => {
  assertEquals(platformOf("windows"), WINDOWS);
  assertEquals(platformOf("linux"), LINUX);
  for (const os of ["darwin", "freebsd", "solaris", "something new"]) {
    assertEquals(platformOf(os), POSIX);
  }
});

Deno.test("resolve() leads to the same place from everywhere", () => {
  assertEquals(resolve("/a/../b/"), "/b/");
  assertEquals(resolve("a/./b"), `${Deno.cwd()}/a/b`);
  assertEquals(resolve("."), Deno.cwd());
});

Deno.test("Platform.path goes by the separators of the system", () => {
  assertEquals(WINDOWS.path.basename("C:\\a\\b.txt"), "b.txt");
  assertEquals(POSIX.path.basename("C:\\a\\b.txt"), "C:\\a\\b.txt");
  assertEquals(WINDOWS.path.dirname("C:/a/b"), "C:/a");
  assertEquals(WINDOWS.slashed("C:\\a\\b"), "C:/a/b");
  assertEquals(POSIX.slashed("a\\b"), "a\\b");
  assertEquals("a\\b/c".split(WINDOWS.separators), ["a", "b", "c"]);
  assertEquals("a\\b/c".split(POSIX.separators), ["a\\b", "c"]);
});

Deno.test("assertStorable() takes on every system what that system can store", async () => {
  const fine = [
    "a",
    "a.b",
    ".a",
    "a b",
    "文件 名.txt",
    "console",
    "com",
    "com10",
    "nulls",
    "a~1",
    "x.con",
  ];
  const bad = [
    "..\\up",
    "a\\b",
    "C:",
    "C:x",
    "a:stream",
    "a<b",
    "a>b",
    'a"b',
    "a|b",
    "a?",
    "a*",
    "a\tb",
    "a\x7fb",
    "a.",
    "a ",
    "...",
    "con",
    "CON",
    "nul.txt",
    "Aux.tar.gz",
    "com1",
    "LPT9.x",
    "com¹",
    "CONIN$",
    "nul .txt",
    "FERRY~1",
    "fe12ab~3",
  ];
  for (const part of [...fine, ...bad]) {
    for (const name of [part, `d/${part}`, `${part}/f`]) assertStorable(name as FileName, POSIX);
  }
  for (const part of fine) assertStorable(`d/${part}/f` as FileName, WINDOWS);
  for (const part of bad) {
    for (const name of [part, `d/${part}`, `${part}/f`]) {
      await assertCode("bad_name", () => assertStorable(name as FileName, WINDOWS));
    }
  }
});

Deno.test("ferryd and ferry move files on Windows, there and back", async () => {
  await using dir = new TempDir();
  for (const name of ["root", "cwd/tree/sub/empty", "cwd/back"]) {
    Deno.mkdirSync(dir.join(name), { recursive: true });
  }
  const options = { launch: onWindows };
  const root = windowsPath(dir.join("root"));
  const big = new Uint8Array(9 * 1024 * 1024).fill(7);
  dir.write("cwd/tree/a.txt", "a");
  dir.write("cwd/tree/sub/big", big);
  await using server = await Ferryd.start(root, [], options);
  const run = (...args: string[]) =>
    ferry(args, { ...options, cwd: dir.join("cwd"), server: server.address });

  const put = await run("put", ".\\tree", "--json");
  assertEquals([put.code, put.stderr], [0, ""]);
  assertEquals(Deno.readFileSync(dir.join("root/tree/sub/big")).length, big.length);
  assertEquals((await run("put", "-p", windowsPath(dir.join("cwd/tree/a.txt")))).code, 0);
  assertEquals(Deno.readTextFileSync(dir.join("root/a.txt")), "a");
  const get = await run("get", "tree", "--out", `${windowsPath(dir.join("cwd"))}\\back\\`);
  assertEquals(get.code, 0, get.stderr);
  assertEquals(Deno.readTextFileSync(dir.join("cwd/back/tree/a.txt")), "a");
  assertEquals(Deno.readFileSync(dir.join("cwd/back/tree/sub/big")).length, big.length);
  assert(Deno.statSync(dir.join("cwd/back/tree/sub/empty")).isDirectory);
  assertEquals((await run("mv", "a.txt", "tree/b.txt")).code, 0);
  assertEquals((await run("rm", "tree", "-r")).code, 0);
  // Ctrl-Break ends it as SIGTERM does elsewhere.
  assertEquals((await server.stop("SIGTERM")).code, 0);
});

Deno.test("ferryd on Windows takes tokens, without a signal to read them anew", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  const file = windowsPath(dir.join("tokens"));
  const [command, ...args] = onWindows("ferryd", { runsCommands: false });
  const made = new Deno.Command(command, {
    args: [...args, "token", "new", "--token-file", file, "--name", "n", "--scope", "read"],
  }).outputSync();
  assert(made.success, new TextDecoder().decode(made.stderr));
  const root = windowsPath(dir.join("root"));
  await using server = await Ferryd.start(root, ["--token-file", file], { launch: onWindows });
  assertEquals((await server.stop("SIGTERM")).code, 0);
});

Deno.test("ferryd on Windows runs no commands, for it could not end them as a whole", async () => {
  await using dir = new TempDir();
  for (const args of [["--allow-exec", "true"], ["--allow-shell"]]) {
    const start = async () => {
      await using _ = await Ferryd.start(windowsPath(dir.path), args, { launch: onWindows });
    };
    await assertRejects(start, Error, "Cannot run commands for clients: on this system");
  }
});

Deno.test("ferryd on Windows refuses what would lead elsewhere there, file by file", async () => {
  await using dir = new TempDir();
  for (const name of ["root", "cwd/tree"]) Deno.mkdirSync(dir.join(name), { recursive: true });
  dir.write("secret", "secret");
  for (const name of ["fine", "a:b", "con", "dot."]) dir.write(`cwd/tree/${name}`, name);
  await using server = await Ferryd.start(windowsPath(dir.join("root")), [], { launch: onWindows });
  const run = (...args: string[]) => ferry(args, { cwd: dir.join("cwd"), server: server.address });

  for (
    const name of ["..\\secret", "d/..\\..\\secret", "C:\\Windows", "nul", ".ferry.", "FERRY~1"]
  ) {
    const { code, stderr } = await run("get", name);
    assertEquals([name, code], [name, 5]);
    assertStringIncludes(stderr, "Cannot get");
    assertEquals((await run("put", "tree/fine", "--as", name)).code, 5, name);
    assertEquals((await run("rm", "-r", name)).code, 5, name);
    assertEquals((await run("mkdir", name)).code, 5, name);
  }
  const put = await run("put", "tree");
  assertEquals(put.code, 5);
  assertEquals([...Deno.readDirSync(dir.join("root/tree"))].map(({ name }) => name), ["fine"]);
  assertEquals(put.stderr.match(/Cannot put/g)?.length, 3, put.stderr);
});

Deno.test("ferry on Windows takes of a directory what it can store, and says what it cannot", async () => {
  await using dir = new TempDir();
  for (const name of ["root/tree/nul", "cwd"]) Deno.mkdirSync(dir.join(name), { recursive: true });
  for (const name of ["fine", "a:b", "..\\up", "nul/x"]) dir.write(`root/tree/${name}`, name);
  await using server = await Ferryd.start(dir.join("root"));
  const got = await ferry(["get", "tree"], {
    launch: onWindows,
    cwd: dir.join("cwd"),
    server: server.address,
  });
  assertEquals(got.code, 5);
  assertEquals([...Deno.readDirSync(dir.join("cwd"))].map(({ name }) => name), ["tree"]);
  assertEquals([...Deno.readDirSync(dir.join("cwd/tree"))].map(({ name }) => name), ["fine"]);
});
