import { assertEquals, assertStringIncludes } from "@std/assert";
import { makeDirectories } from "../../lib/files/directories.ts";
import { KINDS, Mounted, testWithMount } from "../support/mount.ts";
import { ferry, Ferryd, type Outcome, stagedIn, TempDir } from "../support/programs.ts";
import { namesIn } from "../support/directories.ts";
import { assertCode } from "../support/assertions.ts";

/** Names that exFAT cannot store. */
const REFUSED = ["a:b", "what?", "back\\slash"];

function says(name: string): string {
  return `the file system takes no such name as ${JSON.stringify(name)}`;
}

/** A tree in which some file and directory names cannot be stored on every file system. */
function makeTree(dir: TempDir): void {
  for (const name of REFUSED) {
    Deno.mkdirSync(dir.join(`tree/d/${name}`), { recursive: true });
    dir.write(`tree/d/${name}/file`, "x");
    dir.write(`tree/${name}`, "x");
  }
  dir.write("tree/z", "z");
}

function assertTreeCame({ code, stderr }: Outcome, op: string, side: string, at: string): void {
  assertEquals(code, 5, stderr);
  for (const name of REFUSED) {
    for (const path of [name, `d/${name}/file`]) {
      const full = `tree/${path}`;
      assertStringIncludes(stderr, `Cannot ${op} ${JSON.stringify(full)}: ${says(name)} (${side}`);
    }
  }
  assertEquals(namesIn(`${at}/tree`), ["d", "z"]);
  assertEquals(namesIn(`${at}/tree/d`), []);
}

testWithMount("a name that the server's file system does not take fails by name", async () => {
  await using disk = new Mounted("exfat");
  await using dir = new TempDir();
  makeTree(dir);
  await using server = await Ferryd.start(disk.path);
  const run = (...args: string[]) => ferry(args, { cwd: dir.path, server: server.address });
  assertTreeCame(await run("put", "tree"), "put", "on the server", disk.path);
  for (
    const args of [
      ["put", "tree/z", "--as", "a:b"],
      ["put", "tree/z", "--as", "a:b", "--overwrite", "always"],
      ["put", "tree/z", "--as", "new/a:b/z"],
      ["mv", "tree/z", "a:b"],
      ["mv", "tree/z", "a:b", "--overwrite", "always"],
      ["mv", "tree/d", "a:b"],
    ]
  ) {
    const { code, stderr } = await run(...args);
    assertEquals(code, 5, `${args}: ${stderr}`);
    assertStringIncludes(stderr, `${says("a:b")} (on the server`);
  }
  assertEquals(namesIn(`${disk.path}/tree`), ["d", "z"]);
  assertEquals(stagedIn(disk.path), []);
}, KINDS.exfat.needs);

testWithMount("a name that the local file system does not take fails by name", async () => {
  await using disk = new Mounted("exfat");
  await using dir = new TempDir();
  makeTree(dir);
  await using server = await Ferryd.start(dir.path);
  const run = (...args: string[]) => ferry(args, { cwd: disk.path, server: server.address });
  assertTreeCame(await run("get", "tree"), "get", "on this machine", disk.path);
  for (const args of [["tree/a:b"], ["tree/z", "--out", "a:b"], ["tree/z", "--out", "a:b/z"]]) {
    const { code, stderr } = await run("get", ...args);
    assertEquals(code, 5, `${args}: ${stderr}`);
    assertStringIncludes(stderr, `${says("a:b")} (on this machine`);
  }
  assertEquals(namesIn(disk.path), ["tree"]);
  await assertCode("bad_name", () => makeDirectories(`${disk.path}/new/a:b/c`));
}, KINDS.exfat.needs);
