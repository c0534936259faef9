/**
 * Files that are removed while open, on file systems that keep them under other names until they are closed.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { OtherPath, testWithMount } from "../support/mount.ts";
import { ferry, Ferryd, filesBelow, stagedIn, TempDir } from "../support/programs.ts";

/** Whether one of the files below a directory was removed and is still open. */
function hasRemoved(directory: string): boolean {
  return filesBelow(directory).some((path) => path.includes("/.fuse_hidden"));
}

testWithMount("a file that was removed while it is open is not listed, nor moved", async () => {
  await using dir = new TempDir();
  await using shown = new OtherPath(dir.path);
  await using local = new TempDir();
  Deno.mkdirSync(`${shown.path}/tree/below`, { recursive: true });
  for (const name of ["tree/a", "tree/below/b"]) {
    Deno.writeTextFileSync(`${shown.path}/${name}`, name);
  }
  using _held = Deno.openSync(`${shown.path}/tree/below/b`);
  await using server = await Ferryd.start(shown.path);
  const run = (...args: string[]) => ferry(args, { cwd: local.path, server: server.address });
  assertEquals((await run("rm", "tree/below/b")).code, 0);
  assert(hasRemoved(`${shown.path}/tree`));

  const list = await run("ls", "-R", "--json");
  const names = list.stdout.trim().split("\n").map((line) => JSON.parse(line).filename);
  assertEquals(names, ["tree", "tree/a", "tree/below"]);
  assertEquals((await run("get", "tree")).code, 0);
  assertEquals(filesBelow(local.path), ["tree/a"]);

  const { code, stderr } = await ferry(["put", "tree", "--as", "copy"], {
    cwd: shown.path,
    server: server.address,
  });
  assertEquals(code, 0);
  assertStringIncludes(stderr, "removed, but still open");
  assertEquals(filesBelow(`${shown.path}/copy`), ["a"]);
}, ["bindfs"]);

testWithMount("ferry rm -r removes a directory with files in it that are open", async () => {
  await using dir = new TempDir();
  await using shown = new OtherPath(dir.path);
  Deno.mkdirSync(`${shown.path}/tree/below`, { recursive: true });
  const paths = ["tree/a", "tree/below/b", "tree/below/c"].map((name) => `${shown.path}/${name}`);
  for (const path of paths) Deno.writeTextFileSync(path, path);
  const held = paths.slice(0, 2).map((path) => Deno.openSync(path));
  await using server = await Ferryd.start(shown.path);
  const { code, stderr } = await ferry(["rm", "-r", "tree"], { server: server.address });
  assertEquals([code, stderr], [0, ""]);
  assertEquals([...Deno.readDirSync(shown.path)].map(({ name }) => name), [".ferry"]);
  for (const [at, file] of held.entries()) {
    assertEquals(new TextDecoder().decode(await readAll(file)), paths[at]);
    file.close();
  }
  // The file system removes them when it has been told that they are closed.
  while (stagedIn(dir.path).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
}, ["bindfs"]);

async function readAll(file: Deno.FsFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(1000);
  return bytes.subarray(0, await file.read(bytes) ?? 0);
}
