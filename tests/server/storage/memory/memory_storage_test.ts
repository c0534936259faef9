import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import {
  MemoryStorage,
  type MemoryStorageOptions,
} from "../../../../server/storage/memory/memory_storage.ts";
import { connect, serve } from "../../../../mod.ts";
import { TempDir } from "../../../support/programs.ts";
import { KIB, md5 } from "../../../support/bytes.ts";
import { assertCode } from "../../../support/assertions.ts";
import { begin, keepPartial, listed, put, resume, textOf } from "../../../support/stored_files.ts";
import {
  ALL_ABILITIES,
  recordAbilities,
  recordsIn,
  type TestedStorage,
  testStorage,
} from "../../../storage/conformance.ts";

/** A storage, which goes on with what it has when it is opened again. */
class Fixture implements TestedStorage {
  readonly storage: MemoryStorage;

  constructor(options?: MemoryStorageOptions) {
    this.storage = new MemoryStorage(options);
  }

  async reopen(): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
  }

  /** What counts against the quota and is no file. */
  async leftovers(): Promise<string[]> {
    let files = 0;
    for (const storage of [this.storage, await this.storage.internal()]) {
      for await (const entry of storage.list("", { recursive: true })) {
        if (!("omitted" in entry)) files += entry.size;
      }
    }
    const left = this.storage.used - files;
    return left === 0 ? [] : [`${left} bytes`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
  }
}

testStorage("MemoryStorage", () => Promise.resolve(new Fixture()), {
  ...ALL_ABILITIES,
  links: false,
  stagedTrees: false,
});

testStorage(
  "the records of MemoryStorage",
  () => recordsIn(new Fixture()),
  recordAbilities(ALL_ABILITIES),
);

Deno.test("MemoryStorage begins with the files that it is given", async () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const storage = new MemoryStorage({ files: { "d/text": "文件", "bytes": bytes } });
  bytes.fill(0);
  assertEquals(await listed(storage), ["bytes", "d", "d/text"]);
  assertEquals(await textOf(storage, "d/text"), "文件");
  assertEquals(storage.bytes("bytes"), new Uint8Array([1, 2, 3]));
  assertEquals(storage.used, 9);
});

Deno.test("MemoryStorage refuses files that it cannot have, by name", () => {
  const table: [MemoryStorageOptions, string][] = [
    [{ files: { "../a": "" } }, "bad_name"],
    [{ files: { "a": "", "a/b": "" } }, "not_a_file"],
    [{ files: { "a/b": "", "a": "" } }, "not_a_file"],
    [{ files: { a: "12345" }, maxFileSize: 4 }, "too_large"],
    [{ files: { a: "123", b: "45" }, quota: 4 }, "quota"],
  ];
  for (const [options, code] of table) {
    const error = assertThrows(() => new MemoryStorage(options), FerryError);
    assertEquals(error.code, code, error.message);
    assertStringIncludes(error.message, 'Cannot store "');
  }
});

Deno.test("MemoryStorage.bytes() gives a copy, or says what is there instead", async () => {
  const storage = new MemoryStorage({ files: { "d/f": "content" } });
  storage.bytes("d/f").fill(0);
  assertEquals(await textOf(storage, "d/f"), "content");
  for (
    const [name, code] of [["x", "not_found"], ["d", "not_a_file"], ["/", "bad_name"]] as const
  ) {
    await assertCode(code, () => storage.bytes(name));
  }
});

Deno.test("MemoryStorage holds its quota and tells it from files that are too large", async () => {
  const storage = new MemoryStorage({ quota: 10 * KIB, maxFileSize: 8 * KIB });
  for (const [size, code] of [[9 * KIB, "too_large"], [5 * KIB, "quota"]] as const) {
    if (code === "quota") await put(storage, "a", "x".repeat(6 * KIB));
    await assertCode(code, () => storage.assertFits(name("b"), size));
    await assertCode(code, () => storage.create(name("b"), { size }));
    // One that does not announce how large it is.
    await using stream = await storage.create(name("b"), { size: null });
    await assertCode(code, async () => {
      for (let written = 0; written < size; written += KIB) await stream.write(new Uint8Array(KIB));
    });
  }
  assertEquals(storage.used, 6 * KIB);
  // What is replaced, moved over and removed makes room.
  await put(storage, "b", "y".repeat(4 * KIB));
  await storage.move(name("b"), name("a"), { replace: true });
  assertEquals(storage.used, 4 * KIB);
  await put(storage, "d/c", "z".repeat(6 * KIB));
  await storage.remove(name("d"), { recursive: true });
  await put(storage, "a", "", { replace: true });
  assertEquals(storage.used, 0);
});

Deno.test("MemoryStorage counts a partial upload until it is gone", async () => {
  const storage = new MemoryStorage({ quota: 300 * KIB });
  const bytes = new Uint8Array(256 * KIB).fill(7);
  await keepPartial(storage, "f", bytes, 128 * KIB);
  assertEquals(storage.used, 128 * KIB);
  await assertCode("quota", () => storage.create(name("g"), { size: 200 * KIB }));
  {
    // Who has no room for the rest keeps what is there.
    await using _other = await storage.create(name("g"), { size: 100 * KIB });
    await assertCode(
      "quota",
      () => resume(storage, "f", { size: bytes.length, algorithm: "md5" }),
    );
  }
  for (const algorithm of ["sha256", "xxh128", "md5"] as const) {
    await using pending = await resume(storage, "f", { size: bytes.length, algorithm });
    assertEquals(pending?.prefix?.size, 128 * KIB);
    pending?.keep();
  }
  await storage.partialUploads.expire(-1);
  assertEquals(storage.used, 0);
});

Deno.test("MemoryStorage has room for so many files and no more, however small", async () => {
  const files = Object.fromEntries(Array.from({ length: 99_998 }, (_, i) => [`${i}`, ""]));
  const storage = new MemoryStorage({ files });
  await assertCode("no_space", () => put(storage, "a/b/c", ""));
  assertEquals(await storage.find(name("a")), undefined);
  await put(storage, "a/b", "");
  await assertCode("no_space", () => storage.mkdir(name("c")));
  // What has a name already takes no more room by another one.
  await put(storage, "a/b", "again", { replace: true });
  await storage.move(name("a/b"), name("c"), { replace: false });
  await assertCode("no_space", () => storage.move(name("1"), name("d/e"), { replace: false }));
  assertEquals((await storage.stat(name("1"))).type, "file");
  await storage.remove(name("a"), { recursive: true });
  await storage.mkdir(name("d"));
});

Deno.test("MemoryStorage keeps the permission bits of what is replaced", async () => {
  const storage = new MemoryStorage();
  await put(storage, "a", "old", { mode: 0o750 });
  await put(storage, "a", "new", { replace: true });
  assertEquals((await storage.stat(name("a"))).mode, 0o750);
  await put(storage, "a", "newer", { replace: true, mode: 0o600 });
  assertEquals((await storage.stat(name("a"))).mode, 0o600);
});

Deno.test("MemoryStorage that is disposed of ends what is being written", async () => {
  const storage = new MemoryStorage({ files: { a: "kept" } });
  const pending = await begin(storage, "b", "lost");
  await storage[Symbol.asyncDispose]();
  await assertCode("closed", () => pending.write(new Uint8Array(1)));
  await assertCode("closed", () => pending.commit({ checksum: md5("lost"), replace: false }));
  assertEquals(await listed(storage), ["a"]);
  assertEquals(storage.used, 4);
});

Deno.test("a server over a MemoryStorage takes, resumes and gives files", async () => {
  const storage = new MemoryStorage();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const large = new Uint8Array(20 * KIB * KIB).map((_, at) => at * 7);
  await keepPartial(storage, "large", large, 10 * KIB * KIB);
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
  assertEquals((await client.put(bytes, { as: "d/small" })).checksum, md5(bytes));
  assertEquals(storage.bytes("d/small"), bytes);
  await using dir = new TempDir();
  const { checksum, resumedFrom } = await client.put(dir.write("large", large));
  assertEquals([checksum, resumedFrom], [md5(large), 10 * KIB * KIB]);
  assertEquals(storage.bytes("large"), large);
  await client.move("d/small", "moved");
  const names: string[] = [];
  for await (const { filename } of client.list()) names.push(filename);
  assertEquals(names, ["d", "large", "moved"]);
});
