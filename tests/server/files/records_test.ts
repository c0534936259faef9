import { assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { Records } from "../../../server/files/records.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import { MemoryStorage } from "../../../server/storage/memory/memory_storage.ts";
import { assertCode } from "../../support/assertions.ts";
import { Fixture } from "../../support/fs_storage.ts";
import { put } from "../../support/stored_files.ts";
import { RUNTIME } from "../../support/runtime.ts";

function recordsOf(storage: FsStorage | MemoryStorage): Records {
  return new Records(() => storage.internal(), RUNTIME);
}

Deno.test("Records are read, replaced, listed in order, and removed", async () => {
  const records = recordsOf(new MemoryStorage());
  assertEquals(await records.read("shares", "a"), undefined);
  assertEquals(await Array.fromAsync(records.list("shares")), []);
  await records.write("shares", "b", { name: "文件" });
  await records.write("shares", "a", [1]);
  await records.write("shares", "a", [2]);
  assertEquals(await records.read("shares", "a"), [2]);
  assertEquals(await records.read("shares", "b"), { name: "文件" });
  assertEquals(await Array.fromAsync(records.list("shares")), ["a", "b"]);
  await records.remove("shares", "a");
  await records.remove("shares", "a");
  assertEquals(await Array.fromAsync(records.list("shares")), ["b"]);
});

Deno.test("Records.create() succeeds for one of several, with the same value too", async () => {
  const records = recordsOf(new MemoryStorage());
  const created = await Promise.all([1, 2, 3, 3].map((value) => records.create("k", "id", value)));
  assertEquals(created.filter((each) => each).length, 1);
  const value = await records.read("k", "id");
  assertEquals(await records.create("k", "id", value), false);
});

Deno.test("Records refuse ids that are no names, and values that are too large", async () => {
  const records = recordsOf(new MemoryStorage());
  for (const id of ["", "..", "a/b", "a.b", "ä"]) {
    await assertCode("bad_name", () => records.write("k", id, 1));
  }
  await assertCode("too_large", () => records.write("k", "id", "x".repeat(65536)));
});

Deno.test("Records open their storage again where that failed", async () => {
  const storage = new MemoryStorage();
  let fails = true;
  const records = new Records(() => {
    return fails ? Promise.reject(new FerryError("io", "not now")) : storage.internal();
  }, RUNTIME);
  await assertCode("io", () => records.read("k", "id"));
  fails = false;
  assertEquals(await records.read("k", "id"), undefined);
});

Deno.test("Records of a directory count for its quota, also when it is opened again", async () => {
  await using f = new Fixture();
  const open = () => FsStorage.open(f.root, { quota: 1000, durability: "none" });
  await f.storage[Symbol.asyncDispose]();
  f.storage = open();
  await recordsOf(f.storage).write("k", "id", "x".repeat(600));
  await assertCode("quota", () => put(f.storage, "f", "x".repeat(400)));
  await f.storage[Symbol.asyncDispose]();
  f.storage = open();
  await assertCode("quota", () => put(f.storage, "f", "x".repeat(400)));
  await recordsOf(f.storage).remove("k", "id");
  await put(f.storage, "f", "x".repeat(400));
});

Deno.test("Records of a directory are made again after another program removed them", async () => {
  await using f = new Fixture();
  const records = recordsOf(f.storage);
  await records.write("k", "id", 1);
  Deno.removeSync(f.path(".ferry"), { recursive: true });
  assertEquals(await records.read("k", "id"), undefined);
  assertEquals(await Array.fromAsync(records.list("k")), []);
  await records.write("k", "id", 2);
  assertEquals(await records.read("k", "id"), 2);
});
