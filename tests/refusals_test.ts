/**
 * What ferry does where the file system refuses what it asks for beside the bytes: flushes of directories, times,
 * permission bits.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ferry, Ferryd, TempDir } from "./programs.ts";
import { refusing, testRefusals } from "./refused_calls.ts";

testRefusals("ferryd does what it is asked for where no directory can be flushed", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  dir.write("root/old", "old");
  dir.write("file", "content");
  // Files are flushed by fdatasync(2).
  const launch = refusing(["fsync"], "EINVAL");
  await using server = await Ferryd.start(dir.join("root"), [], { launch });
  const options = { cwd: dir.path, server: server.address };
  for (
    const args of [
      ["put", "file", "--as", "new/file"],
      ["mkdir", "empty/below"],
      ["mv", "old", "new/old"],
      ["rm", "new/old"],
    ]
  ) {
    const { code, stderr } = await ferry(args, options);
    assertEquals([args, code, stderr], [args, 0, ""]);
  }
  assertEquals(Deno.readTextFileSync(dir.join("root/new/file")), "content");
});

testRefusals("ferry get stores files where no directory can be flushed", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root/d"), { recursive: true });
  dir.write("root/d/file", "content");
  await using server = await Ferryd.start(dir.join("root"));
  const launch = refusing(["fsync"], "EINVAL");
  const options = { cwd: dir.path, server: server.address, launch };
  for (const args of [["get", "d/file", "--out", "a/b"], ["get", "d", "-q"]]) {
    const { code, stderr } = await ferry(args, options);
    assertEquals([args, code, stderr], [args, 0, ""]);
  }
  for (const path of ["a/b", "d/file"]) {
    assertEquals(Deno.readTextFileSync(dir.join(path)), "content");
  }
});

testRefusals("ferryd says so where a directory cannot be flushed for another reason", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  dir.write("file", "content");
  const launch = refusing(["fsync"], "EIO");
  await using server = await Ferryd.start(dir.join("root"), [], { launch });
  const { code, stderr } = await ferry(["put", "file"], { cwd: dir.path, server: server.address });
  assertEquals(code, 1);
  assertEquals(stderr.includes("(os error 5)"), true, stderr);
});
