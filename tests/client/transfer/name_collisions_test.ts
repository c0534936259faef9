import { assertEquals, assertStringIncludes } from "@std/assert";
import { NameCollisions } from "../../../client/transfer/name_collisions.ts";
import { KINDS, Mounted, testWithMount } from "../../support/mount.ts";
import { Pair } from "../../support/pair.ts";
import { ferry, Ferryd, type Outcome, TempDir } from "../../support/programs.ts";

Deno.test("NameCollisions.before() finds names that some file system takes for the same", () => {
  const clashes = new NameCollisions();
  const names: [string, string | undefined][] = [
    ["a/README", undefined],
    ["a/Readme", "a/README"],
    ["A/readme", "a/README"],
    ["b/Readme", undefined],
    ["caf\u00e9", undefined],
    ["Cafe\u0301", "caf\u00e9"],
    ["stra\u00dfe", undefined],
    ["STRASSE", "stra\u00dfe"],
    ["\u03c3\u03c2", undefined],
    ["\u03c3\u03c3", "\u03c3\u03c2"],
    ["a/README", undefined],
  ];
  for (const [name, before] of names) assertEquals(clashes.before(name), before, name);
});

/** The names of the files in a directory, and what is in them. */
function filesIn(path: string): string[] {
  return [...Deno.readDirSync(path)].filter(({ isFile }) => isFile)
    .map(({ name }) => `${name}: ${Deno.readTextFileSync(`${path}/${name}`)}`).sort();
}

/** A tree in which names differ in case only; those of one directory have the same content. */
function makeTree(dir: TempDir): void {
  Deno.mkdirSync(dir.join("tree/same"), { recursive: true });
  for (const name of ["README", "Readme", "readme", "other"]) dir.write(`tree/${name}`, name);
  for (const name of ["A", "a"]) dir.write(`tree/same/${name}`, "same");
}

const POLICIES = ["never", "always", "newer", "different"];

function assertClashes({ code, stderr }: Outcome, op: string, side: string): void {
  assertEquals(code, 5, stderr);
  for (
    const [name, before] of [["Readme", "README"], ["readme", "README"], ["same/a", "same/A"]]
  ) {
    assertStringIncludes(stderr, `Cannot ${op} "tree/${name}": the file system takes its name`);
    assertStringIncludes(stderr, `${before}", which came before it (${side}`);
  }
  assertEquals(stderr.match(/which came before it/g)?.length, 3, stderr);
}

testWithMount("no file replaces another of the same upload where case does not count", async () => {
  await using disk = new Mounted("exfat");
  await using dir = new TempDir();
  makeTree(dir);
  await using server = await Ferryd.start(disk.path);
  const run = (...args: string[]) => ferry(args, { cwd: dir.path, server: server.address });
  // Once into an empty directory, and again over what came of that.
  for (const overwrite of POLICIES) {
    const args = ["put", "tree", "--overwrite", overwrite];
    assertClashes(await run(...args), "put", "on the server");
    assertEquals(filesIn(`${disk.path}/tree`), ["README: README", "other: other"]);
    assertEquals(filesIn(`${disk.path}/tree/same`), ["A: same"]);
  }
  const { code, stderr } = await run(
    ...["put", "tree/README", "tree/readme", "tree/other", "--to", "few", "--overwrite", "always"],
  );
  assertEquals([code, filesIn(`${disk.path}/few`)], [5, ["README: README", "other: other"]]);
  assertStringIncludes(stderr, 'Cannot put "few/readme": the file system takes its name');
}, KINDS.exfat.needs);

testWithMount(
  "no file replaces another of the same download where case does not count",
  async () => {
    await using disk = new Mounted("exfat");
    await using dir = new TempDir();
    makeTree(dir);
    await using server = await Ferryd.start(dir.path);
    const run = (...args: string[]) => ferry(args, { cwd: disk.path, server: server.address });
    for (const overwrite of POLICIES) {
      assertClashes(await run("get", "tree", "--overwrite", overwrite), "get", "on this machine");
      assertEquals(filesIn(`${disk.path}/tree`), ["README: README", "other: other"]);
      assertEquals(filesIn(`${disk.path}/tree/same`), ["A: same"]);
    }
    const { code, stderr } = await run(
      ...[
        "get",
        "tree/README",
        "tree/readme",
        "tree/other",
        "--out",
        "few/",
        "--overwrite",
        "always",
      ],
    );
    assertEquals([code, filesIn(`${disk.path}/few`)], [5, ["README: README", "other: other"]]);
    assertStringIncludes(stderr, 'Cannot get "tree/readme": the file system takes its name');
  },
  KINDS.exfat.needs,
);

Deno.test({
  name: "names that differ in case only are files of their own where case counts",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using p = await Pair.start();
    Deno.mkdirSync(`${p.cwd}/tree`);
    const names = ["README", "Readme", "readme"];
    for (const round of ["one", "two"]) {
      for (const name of names) p.write(`tree/${name}`, `${name} ${round}`);
      const files = names.map((name) => `${name}: ${name} ${round}`);
      assertEquals((await p.run("put", "tree", "--overwrite", "different")).code, 0);
      assertEquals(filesIn(`${p.root}/tree`), files);
      assertEquals(
        (await p.run("get", "tree", "--out", "down", "--overwrite", "different")).code,
        0,
      );
      assertEquals(filesIn(`${p.cwd}/down`), files);
    }
    const again = await p.run("get", "tree", "--out", "down");
    assertEquals([again.code, again.stderr.includes("3 unchanged")], [0, true], again.stderr);
  },
});

testWithMount("ferry mv gives a name another case where case does not count", async () => {
  await using disk = new Mounted("exfat");
  await using server = await Ferryd.start(disk.path);
  const run = (...args: string[]) => ferry(args, { server: server.address });
  const names = () => [...Deno.readDirSync(disk.path)].map(({ name }) => name).sort();
  Deno.writeTextFileSync(`${disk.path}/readme`, "text");
  Deno.mkdirSync(`${disk.path}/docs`);
  for (
    const args of [["readme", "README"], ["README", "Readme", "--overwrite", "always"], [
      "docs",
      "Docs",
    ]]
  ) {
    const { code, stderr } = await run("mv", ...args);
    assertEquals([code, stderr], [0, ""], `${args}`);
    assertEquals(names().includes(args[1]!), true, `${args}: ${names()}`);
  }
  assertEquals(names(), [".ferry", "Docs", "Readme"]);
  assertEquals(Deno.readTextFileSync(`${disk.path}/Readme`), "text");
}, KINDS.exfat.needs);
