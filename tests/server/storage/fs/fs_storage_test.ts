import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { tryLock } from "../../../../lib/files/file_lock.ts";
import { type FileName, parseFileName as name } from "../../../../lib/core/remote_name.ts";
import type { StoredFile } from "../../../../server/storage/storage.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { later, stopClock } from "../../../support/clock.ts";
import { Mount, testWithMount } from "../../../support/mount.ts";
import { HOLDS_DIRECTORIES, stagedIn, TempDir } from "../../../support/programs.ts";
import { namesIn } from "../../../support/directories.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import {
  begin,
  keepPartial,
  listed,
  partials,
  put,
  resume,
  textOf,
} from "../../../support/stored_files.ts";
import {
  ALL_ABILITIES,
  recordAbilities,
  recordsIn,
  testStorage,
} from "../../../storage/conformance.ts";
import { Fixture } from "../../../support/fs_storage.ts";

for (const durability of ["full", "none"] as const) {
  testStorage(
    `FsStorage, durability ${durability}`,
    () => Promise.resolve(new Fixture(durability)),
    ALL_ABILITIES,
  );
}

testStorage(
  "the records of FsStorage",
  () => recordsIn(new Fixture("none")),
  recordAbilities(ALL_ABILITIES),
);

Deno.test("FsStorage.open() empties the staging area", async () => {
  await using f = new Fixture();
  await f.reopen(() => {
    Deno.writeTextFileSync(f.path(".ferry/staging/left.part"), "left");
    Deno.mkdirSync(f.path(".ferry/staging/dir/deep"), { recursive: true });
    Deno.symlinkSync(f.dir.path, f.path(".ferry/staging/link"));
  });
  assertEquals(await f.leftovers(), []);
  assertEquals(namesIn(f.dir.path), ["root"], "a link was followed");
});

Deno.test("FsStorage.open() refuses what is no directory", async () => {
  await using dir = new TempDir();
  const missing = assertThrows(() => FsStorage.open(dir.join("missing")), FerryError);
  assertEquals(missing.code, "not_found");
  assertStringIncludes(missing.message, `Cannot serve "${dir.join("missing")}"`);
  dir.write("file", "x");
  await assertCode("not_a_file", () => FsStorage.open(dir.join("file")));
  Deno.mkdirSync(dir.join("root"));
  dir.write("root/.ferry", "x");
  await assertCode("not_a_file", () => FsStorage.open(dir.join("root")));
  assertEquals(Deno.readTextFileSync(dir.join("root/.ferry")), "x");
});

Deno.test("FsStorage.open() refuses a link in the place of its own directory", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  Deno.mkdirSync(dir.join("precious/staging"), { recursive: true });
  dir.write("precious/staging/file", "x");
  Deno.symlinkSync("../precious", dir.join("root/.ferry"));
  await assertCode("not_a_file", () => FsStorage.open(dir.join("root")));
  assertEquals(namesIn(dir.join("precious")), ["staging"]);
  assertEquals(namesIn(dir.join("precious/staging")), ["file"]);
});

for (const own of ["staging", "lock"]) {
  Deno.test(`FsStorage.open() refuses a link in the place of its own ${own}`, async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root/.ferry"), { recursive: true });
    Deno.mkdirSync(dir.join("precious"));
    dir.write("precious/file", "x");
    Deno.symlinkSync(
      own === "lock" ? "../../precious/file" : "../../precious",
      dir.join(`root/.ferry/${own}`),
    );
    await assertCode(["not_a_file", "not_found"], () => FsStorage.open(dir.join("root")));
    assertEquals(namesIn(dir.join("precious")), ["file"]);
    assertEquals(Deno.readTextFileSync(dir.join("precious/file")), "x");
  });
}

const goesOn = "FsStorage goes on in its own directory when a link is put in its place";
Deno.test({ name: goesOn, ignore: !HOLDS_DIRECTORIES }, async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "before");
  const pending = await begin(f.storage, "b", "pending");
  Deno.mkdirSync(f.dir.join("precious/staging"), { recursive: true });
  Deno.renameSync(f.path(".ferry"), f.path("moved"));
  Deno.symlinkSync("../precious", f.path(".ferry"));
  await pending.commit({ checksum: md5("pending"), replace: false });
  await pending[Symbol.asyncDispose]();
  await put(f.storage, "c", "after");
  using _clock = stopClock(later());
  assertEquals(await listed(f.storage), ["a", "b", "c"]);
  for (const own of ["moved", "moved/lock", "moved/staging"].map(name)) {
    await assertCode("not_found", () => f.storage.stat(own));
    await assertCode("not_found", () => f.storage.remove(own, { recursive: true }));
    await assertCode("not_found", () => f.storage.move(own, name("mine"), { replace: true }));
  }
  assertEquals(await f.storage.checksum(name("c"), "md5"), md5("after"));
  Deno.removeSync(f.path(".ferry"));
  Deno.renameSync(f.path("moved"), f.path(".ferry"));
  await f.reopen();
  assertEquals((await f.storage.stat(name("c"))).checksum, md5("after"), "it was not remembered");
  assertEquals(namesIn(f.dir.join("precious")), ["staging"]);
  assertEquals(namesIn(f.dir.join("precious/staging")), []);
});

Deno.test("FsStorage lets nobody but its user read what is being written", async () => {
  await using f = new Fixture();
  await using pending = await begin(f.storage, "a", "x");
  const [part] = await f.leftovers();
  assertEquals(Deno.statSync(f.path(`.ferry/staging/${part}`)).mode! & 0o777, 0o600);
  await pending.commit({ checksum: md5("x"), replace: false });
  // From now on it is as any other new file.
  const plain = Deno.statSync(f.dir.write("plain", "x")).mode;
  assertEquals(Deno.statSync(f.path("a")).mode, plain);
});

Deno.test("FsStorage.open() of a root that is served already is busy", async () => {
  await using f = new Fixture();
  await using pending = await begin(f.storage, "a", "x");
  Deno.symlinkSync("root", f.dir.join("by-link"));
  await assertCode("busy", () => FsStorage.open(f.root));
  await assertCode("busy", () => FsStorage.open(f.dir.join("by-link")));
  // The attempt did not clear away what the first one is writing.
  await pending.commit({ checksum: md5("x"), replace: false });
  await f.reopen();
  assertEquals(await listed(f.storage), ["a"]);
});

Deno.test("FsStorage.open() follows links to the root", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  Deno.symlinkSync("root", dir.join("link"));
  await using storage = FsStorage.open(dir.join("link"), { durability: "none" });
  await put(storage, "d/a", "x");
  assertEquals(Deno.readTextFileSync(dir.join("root/d/a")), "x");
  assertEquals(await listed(storage), ["d", "d/a"]);
});

Deno.test("FsStorage keeps its own directory out of everybody's reach", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "x");
  assertEquals(await listed(f.storage), ["a"]);
  assertEquals(await listed(f.storage, "", { recursive: false }), ["a"]);
  for (const own of [".ferry", ".ferry/lock", ".ferry/index.db"]) {
    await assertCode("bad_name", () => name(own));
    // The name's own check is not the only one.
    await assertCode("not_found", () => f.storage.stat(own as FileName));
    await assertCode("not_found", () => f.storage.open(own as FileName, "md5"));
    await assertCode("not_found", () => f.storage.create(own as FileName, { size: 1 }));
  }
  // Such a name further down is anybody's.
  await put(f.storage, "d/.ferry/x", "x");
  assertEquals(await listed(f.storage, "d"), ["d/.ferry", "d/.ferry/x"]);
});

Deno.test("FsStorage disposal lets what is being published appear first", async () => {
  await using f = new Fixture();
  const pending = await begin(f.storage, "a", "content");
  const committed = pending.commit({ checksum: md5("content"), replace: false });
  await f.reopen();
  assertEquals(Deno.readTextFileSync(f.path("a")), "content");
  assertEquals((await committed).size, 7);
});

Deno.test("FsStorage.resume() does not read what has been written since the system was started", async () => {
  await using f = new Fixture();
  const bytes = new Uint8Array(300_000).fill(7);
  const longest = `${"x".repeat(250)}/`.repeat(11) + "end";
  for (const filename of ["short", longest]) {
    for (const reopened of [false, true]) {
      await keepPartial(f.storage, filename, bytes, 128_000);
      const [part] = (await f.leftovers()).filter((path) => path.endsWith(".part"));
      // Whoever reads it sees that it is not what the record says.
      Deno.writeFileSync(f.path(`.ferry/staging/${part}`), new Uint8Array(128_000).fill(8));
      if (reopened) await f.reopen();
      const options = { size: bytes.length, algorithm: "md5" } as const;
      await using pending = await resume(f.storage, filename, options);
      assertEquals(pending?.prefix?.size, 128_000, `${filename.length} ${reopened}`);
    }
  }
});

Deno.test("FsStorage.resume() leaves a part alone that another process has, and finds it again", async () => {
  await using f = new Fixture();
  const bytes = new Uint8Array(300_000).fill(7);
  await keepPartial(f.storage, "large", bytes, 128_000);
  const [part] = (await f.leftovers()).filter((path) => path.endsWith(".part"));
  const options = { size: bytes.length, algorithm: "md5" } as const;
  {
    using held = Deno.openSync(f.path(`.ferry/staging/${part}`), { write: true });
    assert(tryLock(held));
    assertEquals(await resume(f.storage, "large", options), undefined);
    assertEquals((await partials(f.storage)).map(({ received }) => received), [128_000]);
  }
  const held = Deno.openSync(f.path(`.ferry/staging/${part}`), { write: true });
  assert(tryLock(held));
  // A program that is being started holds the lock for a moment only.
  setTimeout(() => held.close(), 100);
  await using pending = await resume(f.storage, "large", options);
  assertEquals(pending?.prefix?.size, 128_000);
});

Deno.test("FsStorage a named pipe is not_a_file, and nobody waits for its other end", async () => {
  await using f = new Fixture();
  const { success } = new Deno.Command("mkfifo", { args: [f.path("pipe")] }).outputSync();
  assert(success);
  await put(f.storage, "file", "x");
  const pipe = name("pipe");
  await assertCode("not_a_file", () => f.storage.stat(pipe));
  await assertCode("not_a_file", () => f.storage.open(pipe, "md5"));
  await assertCode("not_a_file", () => f.storage.checksum(pipe, "md5"));
  await assertCode("not_a_file", () => listed(f.storage, "pipe"));
  await assertCode("not_a_file", () => f.storage.create(name("pipe/x"), { size: 1 }));
  await assertCode("exists", () => put(f.storage, "pipe", "x"));
  await assertCode("exists", () => f.storage.mkdir(pipe));
  assertEquals(await listed(f.storage), ["file"]);
  assertEquals(await f.leftovers(), []);
  await put(f.storage, "pipe", "x", { replace: true });
  assertEquals(await textOf(f.storage, "pipe"), "x");
});

Deno.test("FsStorage a name that is longer than the system takes is bad_name", async () => {
  await using dir = new TempDir();
  const root = dir.join(Array.from({ length: 7 }, () => "r".repeat(200)).join("/"));
  Deno.mkdirSync(root, { recursive: true });
  await using storage = FsStorage.open(root, { durability: "none" });
  await put(storage, "mine", "x");
  // Good as a name, but not behind this root: together they have more than PATH_MAX (4096) bytes.
  const long = name(Array.from({ length: 12 }, () => "n".repeat(255)).join("/"));
  await assertCode("bad_name", () => storage.create(long, { size: 1 }));
  await assertCode("bad_name", () => storage.mkdir(long));
  await assertCode("bad_name", () => storage.move(name("mine"), long, { replace: true }));
  // Nothing can stand there, and whoever looks is told one or the other.
  await assertCode(["not_found", "bad_name"], () => storage.stat(long));
  await assertCode(["not_found", "bad_name"], () => storage.open(long, "md5"));
  await assertCode(["not_found", "bad_name"], () => listed(storage, long));
  await assertCode(["not_found", "bad_name"], () => storage.remove(long, { recursive: true }));
  assertEquals(await listed(storage), ["mine"]);
});

Deno.test("FsStorage what changes while it is read is io", async () => {
  await using f = new Fixture();
  Deno.writeTextFileSync(f.path("log"), "first line\n");
  await using file = await f.storage.open(name("log"), "md5");
  await file.assertUnchanged?.();
  Deno.writeTextFileSync(f.path("log"), "second line\n", { append: true });
  await assertCode("io", () => file.assertUnchanged?.());
  await file.remember(md5("first line\nsecond line\n, but not these"));
  assertEquals(await f.storage.checksum(name("log"), "md5"), md5("first line\nsecond line\n"));
});

Deno.test("FsStorage what changes while it is read is io where its times are set back, too", async () => {
  await using f = new Fixture();
  Deno.writeTextFileSync(f.path("log"), "before");
  const { mtime } = Deno.statSync(f.path("log"));
  await using file = await f.storage.open(name("log"), "md5");
  assertEquals(await textIn(file), "before");
  await file.assertUnchanged?.(md5("before"));
  Deno.writeTextFileSync(f.path("log"), "behind");
  Deno.utimeSync(f.path("log"), mtime!, mtime!);
  await assertCode("io", () => file.assertUnchanged?.(md5("before")));
});

async function textIn(file: StoredFile): Promise<string> {
  const piece = new Uint8Array(100);
  return new TextDecoder().decode(piece.subarray(0, await file.read(piece) ?? 0));
}

async function assertReadOnly(storage: FsStorage): Promise<void> {
  assertEquals(storage.unwritable?.reason, "the server's directory is read-only");
  assertEquals(await listed(storage), ["d", "d/a"]);
  assertEquals(await textOf(storage, "d/a"), "content");
  assertEquals((await storage.stat(name("d/a"))).size, 7);
  using _clock = stopClock(later());
  assertEquals(await storage.checksum(name("d/a"), "md5"), md5("content"));
  assertEquals((await storage.stat(name("d/a"))).checksum, md5("content"), "it is not remembered");
  const writes = [
    () => storage.create(name("new"), { size: 1 }),
    () => storage.create(name("d/a"), { size: 1 }),
    () => storage.mkdir(name("d/new")),
    () => storage.move(name("d/a"), name("b"), { replace: false }),
    () => storage.remove(name("d/a"), { recursive: false }),
    () => storage.remove(name("d"), { recursive: true }),
  ];
  for (const write of writes) await assertCode("denied", write);
  assertEquals(await listed(storage), ["d", "d/a"]);
}

testWithMount("FsStorage.open() of a file system for reading serves reads only", async () => {
  await using mount = new Mount("size=1m");
  Deno.mkdirSync(`${mount.path}/d`);
  Deno.writeTextFileSync(`${mount.path}/d/a`, "content");
  mount.makeReadOnly();
  await using storage = FsStorage.open(mount.path);
  await assertReadOnly(storage);
});

testWithMount("FsStorage.open() of a root that became read-only serves reads only", async () => {
  await using mount = new Mount("size=1m");
  {
    await using storage = FsStorage.open(mount.path);
    assertEquals(storage.unwritable, undefined);
    await put(storage, "d/a", "content");
  }
  mount.makeReadOnly();
  await using storage = FsStorage.open(mount.path);
  await assertReadOnly(storage);
});

Deno.test({
  name: "FsStorage.open() of a directory without write permission serves reads only" +
    (Deno.uid() === 0 ? " (ignored: root may write everywhere)" : ""),
  ignore: Deno.uid() === 0,
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root/d"), { recursive: true });
    dir.write("root/d/a", "content");
    const closed = [dir.join("root/d"), dir.join("root")];
    for (const path of closed) Deno.chmodSync(path, 0o555);
    try {
      await using storage = FsStorage.open(dir.join("root"));
      await assertReadOnly(storage);
    } finally {
      for (const path of closed.reverse()) Deno.chmodSync(path, 0o755);
    }
  },
});

for (const durability of ["full", "none"] as const) {
  testWithMount(`FsStorage (${durability}) on a full disk is no_space, and goes on`, async () => {
    await using mount = new Mount("size=1m");
    await using storage = FsStorage.open(mount.path, { durability });
    await put(storage, "kept", "kept");
    const piece = new Uint8Array(100_000).fill(7);
    {
      await using pending = await storage.create(name("d/large"), { size: 2_000_000 });
      await assertCode("no_space", async () => {
        for (let turn = 0; turn < 20; turn++) await pending.write(piece);
      });
    }
    assertEquals(stagedIn(mount.path), []);
    assertEquals(await listed(storage), ["kept"]);
    assertEquals(await textOf(storage, "kept"), "kept");
    await put(storage, "d/small", piece);
    assertEquals(await storage.checksum(name("d/small"), "md5"), md5(piece));
    assertEquals(stagedIn(mount.path), []);
  });
}

testWithMount(
  "FsStorage on a disk without room for one more file is no_space, and goes on",
  async () => {
    await using mount = new Mount("size=1m,nr_inodes=20");
    await using storage = FsStorage.open(mount.path);
    const stored: string[] = [];
    const error = await assertCode("no_space", async () => {
      for (; stored.length < 30; stored.push(`f${stored.length}`)) {
        await put(storage, `f${stored.length}`, "x");
      }
    });
    assertStringIncludes(error.message, "no space left");
    assert(stored.length > 5, `only ${stored} were stored`);
    assertEquals(stagedIn(mount.path), []);
    assertEquals(await listed(storage), stored.toSorted());
    await storage.remove(name("f0"), { recursive: false });
    await put(storage, "after", "x");
    assertEquals(await storage.checksum(name("after"), "md5"), md5("x"));
  },
);
