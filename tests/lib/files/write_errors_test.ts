import { assert, assertEquals } from "@std/assert";
import { isFull, isHonest, isKnownHonest } from "../../../lib/files/write_errors.ts";
import { Mount, OtherPath, testWithMount } from "../../support/mount.ts";
import { TempDir } from "../../support/programs.ts";

Deno.test("isHonest() is true of the directory for temporary files", async () => {
  await using dir = new TempDir();
  assertEquals(await isHonest(dir.path), true);
  assertEquals(isKnownHonest(dir.path), true);
});

testWithMount("isHonest() tells file systems in memory and in user space apart", async () => {
  await using memory = new Mount("size=1m");
  await using user = new OtherPath(memory.path);
  assertEquals(await Promise.all([memory, user].map(({ path }) => isHonest(path))), [true, false]);
  assertEquals([memory, user].map(({ path }) => isKnownHonest(path)), [true, false]);
}, ["bindfs"]);

testWithMount("isHonest() notices in time that something else was mounted", async () => {
  await using memory = new Mount("size=1m");
  const path = `${memory.path}/a`;
  Deno.mkdirSync(path);
  const { now } = performance;
  assertEquals(await isHonest(path), true);
  await using user = new OtherPath(memory.path, path);
  try {
    performance.now = () => now.call(performance) + 1001;
    assertEquals(await isHonest(path), false);
  } finally {
    performance.now = now;
  }
  assert(user);
}, ["bindfs"]);

Deno.test("isHonest() of what cannot be looked at is false", async () => {
  await using dir = new TempDir();
  const expected = Deno.build.os === "linux" ? false : true;
  assertEquals(await isHonest(dir.join("missing")), expected);
  assertEquals(await isFull(dir.join("missing")), false);
});

testWithMount("isFull() is true where nothing more can be written", async () => {
  await using memory = new Mount("size=64k");
  assertEquals(await isFull(memory.path), false);
  try {
    Deno.writeFileSync(`${memory.path}/filler`, new Uint8Array(128 * 1024));
  } catch (error) {
    assertEquals((error as { code?: string }).code, "ENOSPC");
  }
  assertEquals(await isFull(memory.path), true);
});
