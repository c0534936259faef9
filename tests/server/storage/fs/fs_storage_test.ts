import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ChecksumCache, identityOf } from "../../../../server/storage/fs/checksum_cache.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { tryLock } from "../../../../lib/files/file_lock.ts";
import { type FileName, parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { LocalFile } from "../../../../lib/files/source_file.ts";
import { isTaken } from "../../../../lib/files/path_lookup.ts";
import type { Durability } from "../../../../lib/files/durability.ts";
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
import { type TestedStorage, testStorage } from "../../../storage/conformance.ts";

/** A directory, and in it the root of a storage. */
class Fixture implements TestedStorage {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly #durability: Durability;
  storage!: FsStorage;

  constructor(durability: Durability = "none") {
    this.#durability = durability;
    Deno.mkdirSync(this.root);
    this.#open();
  }

  #open(): void {
    this.storage = FsStorage.open(this.root, { durability: this.#durability });
  }

  /** A path in the root. */
  path(name: string): string {
    return `${this.root}/${name}`;
  }

  async reopen(between: () => void = () => {}): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    between();
    this.#open();
  }

  leftovers(): Promise<string[]> {
    return Promise.resolve(stagedIn(this.root));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

for (const durability of ["full", "none"] as const) {
  testStorage(
    `FsStorage, durability ${durability}`,
    () => Promise.resolve(new Fixture(durability)),
    { partialUploads: true },
  );
}

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

/** Writes an md5 that is not the file's into the index, sealed as the storage would. */
function plant(f: Fixture, filename: string, digest: string): void {
  using index = ChecksumCache.open(f.path(".ferry/index.db"));
  index.record([{ identity: identityOf(Deno.lstatSync(f.path(filename))), checksum: digest }]);
}

const PLANTED = "0123456789abcdef0123456789abcdef";

Deno.test("FsStorage.checksum() does not read an unchanged file again", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "content");
  await f.reopen(() => plant(f, "d/a", PLANTED));
  // Whoever had read the file would know better.
  assertEquals(await f.storage.checksum(name("d/a"), "md5"), PLANTED);
  assertEquals((await f.storage.stat(name("d/a"))).checksum, PLANTED);
});

Deno.test("FsStorage.checksum() reads a file again that looks the same and changed right before it was read", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "before");
  const { mtime, ctime } = Deno.statSync(f.path("a"));
  // The last moment at which a second change could have the time of the first.
  using clock = stopClock(ctime!.getTime() + 2099);
  const known = async () => (await f.storage.stat(name("a"))).checksum;
  assertEquals(await known(), null, "it is known from the upload");
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("before"));
  assertEquals(await known(), null, "it is remembered too early");
  await using file = await f.storage.open(name("a"), "md5");
  await file.remember(md5("before"));
  assertEquals(await known(), null, "what was sent is remembered too early");

  Deno.writeTextFileSync(f.path("a"), "behind");
  Deno.utimeSync(f.path("a"), mtime!, mtime!);
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("behind"));
  assertEquals(await known(), null);
  clock.at = Deno.statSync(f.path("a")).ctime!.getTime() + 2100;
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("behind"));
  assertEquals(await known(), md5("behind"));

  // A time to come, from a clock that is ahead, tells nothing either.
  clock.at -= 60_000;
  await f.reopen(() => Deno.removeSync(f.path(".ferry/index.db")));
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("behind"));
  assertEquals(await known(), null);
});

Deno.test("FsStorage.checksum() of a file that was moved is read again", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "content");
  using _clock = stopClock(later());
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("content"));
  await f.storage.move(name("a"), name("b"), { replace: false });
  assertEquals(await f.storage.checksum(name("b"), "md5"), md5("content"));
  assertEquals((await f.storage.stat(name("b"))).checksum, md5("content"));
});

Deno.test("FsStorage disposal lets what is being published appear first", async () => {
  await using f = new Fixture();
  const pending = await begin(f.storage, "a", "content");
  const committed = pending.commit({ checksum: md5("content"), replace: false });
  await f.reopen();
  assertEquals(Deno.readTextFileSync(f.path("a")), "content");
  assertEquals((await committed).size, 7);
});

Deno.test("FsStorage.checksum() reads a file once for all who ask meanwhile, and again after a failure", async () => {
  await using f = new Fixture();
  for (const path of ["a", "b"]) Deno.writeTextFileSync(f.path(path), "content");
  const { read } = LocalFile.prototype;
  let reads = 0;
  const failed = new FerryError("io", "the disk is broken");
  LocalFile.prototype.read = function (this: LocalFile, into) {
    return ++reads === 1 ? Promise.reject(failed) : read.call(this, into);
  };
  const ask = (path = "a") => f.storage.checksum(name(path), "md5");
  try {
    for (const result of await Promise.allSettled([ask(), ask()])) {
      assertEquals(result, { status: "rejected", reason: failed });
    }
    assertEquals(reads, 1);
    await ask("b");
    const once = reads - 1;
    assertEquals(await Promise.all([ask(), ask(), ask()]), Array(3).fill(md5("content")));
    assertEquals(reads, 1 + 2 * once);
  } finally {
    LocalFile.prototype.read = read;
  }
});

Deno.test("FsStorage.checksum() of a file that it did not write is remembered", async () => {
  await using f = new Fixture();
  Deno.writeTextFileSync(f.path("a"), "content");
  using _clock = stopClock(later());
  assertEquals((await f.storage.stat(name("a"))).checksum, null);
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("content"));
  assertEquals((await f.storage.stat(name("a"))).checksum, md5("content"));
  await f.reopen();
  assertEquals((await f.storage.stat(name("a"))).checksum, md5("content"));
});

const CHANGES: Record<string, (path: string, before: Deno.FileInfo) => void> = {
  "its size": (path, { mtime }) => {
    Deno.writeTextFileSync(path, "longer than before");
    Deno.utimeSync(path, mtime!, mtime!);
  },
  "its modification time": (path) => Deno.utimeSync(path, 1000, 1000),
  "its inode": (path, { mtime }) => {
    Deno.renameSync(path, `${path}.old`);
    Deno.writeTextFileSync(path, "content");
    Deno.utimeSync(path, mtime!, mtime!);
  },
};

for (const [what, change] of Object.entries(CHANGES)) {
  Deno.test(`FsStorage.checksum() reads a file again that changed ${what}`, async () => {
    await using f = new Fixture();
    await put(f.storage, "a", "content");
    await f.reopen(() => {
      plant(f, "a", PLANTED);
      change(f.path("a"), Deno.statSync(f.path("a")));
    });
    assertEquals((await f.storage.stat(name("a"))).checksum, null);
    assertEquals(
      await f.storage.checksum(name("a"), "md5"),
      md5(Deno.readTextFileSync(f.path("a"))),
    );
  });
}

Deno.test("FsStorage.checksum() reads a file again whose inode changed since", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "content");
  await f.reopen(() => {
    // Nobody can set that time back: what was remembered a second before this change is planted.
    const stats = Deno.lstatSync(f.path("a"));
    stats.ctime = new Date(stats.ctime!.getTime() - 1000);
    using index = ChecksumCache.open(f.path(".ferry/index.db"));
    index.record([{ identity: identityOf(stats), checksum: PLANTED }]);
  });
  assertEquals((await f.storage.stat(name("a"))).checksum, null);
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("content"));
});

const INDEX = ".ferry/index.db";

const DAMAGES: Record<string, (f: Fixture) => void> = {
  "was deleted": (f) => {
    for (const { name } of Deno.readDirSync(f.path(".ferry"))) {
      if (name.startsWith("index.db")) Deno.removeSync(f.path(`.ferry/${name}`));
    }
  },
  "is garbage": (f) => Deno.writeTextFileSync(f.path(INDEX), "no database ".repeat(1000)),
  "is empty": (f) => Deno.truncateSync(f.path(INDEX), 0),
  "was cut short": (f) => Deno.truncateSync(f.path(INDEX), 4096 + 17),
  "has a row with another md5": (f) => {
    const bytes = Deno.readFileSync(f.path(INDEX));
    const text = new TextDecoder("latin1").decode(bytes);
    const at = text.indexOf(PLANTED);
    assert(at >= 0 && text.indexOf(PLANTED, at + 1) < 0, "the row is not there once");
    bytes[at + 3]! ^= 1;
    Deno.writeFileSync(f.path(INDEX), bytes);
  },
  "is a directory": (f) => {
    DAMAGES["was deleted"]!(f);
    Deno.mkdirSync(f.path(`${INDEX}/x`), { recursive: true });
  },
};

for (const [what, damage] of Object.entries(DAMAGES)) {
  Deno.test(`FsStorage.checksum() reads a file again where the index ${what}`, async () => {
    await using f = new Fixture();
    await put(f.storage, "a", "content");
    await f.reopen(() => {
      plant(f, "a", PLANTED);
      damage(f);
    });
    using _clock = stopClock(later());
    assertEquals((await f.storage.stat(name("a"))).checksum, null);
    assertEquals(await f.storage.checksum(name("a"), "md5"), md5("content"));
    assertEquals((await f.storage.stat(name("a"))).checksum, md5("content"), "it is not rebuilt");
    await put(f.storage, "b", "more");
    assertEquals(await f.storage.checksum(name("b"), "md5"), md5("more"));
    assertEquals((await f.storage.stat(name("b"))).checksum, md5("more"));
  });
}

Deno.test("FsStorage follows links that stay in the root", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "content");
  Deno.symlinkSync("d", f.path("to-dir"));
  Deno.symlinkSync(f.path("d/a"), f.path("to-file"));
  assertEquals(await textOf(f.storage, "to-dir/a"), "content");
  assertEquals(await textOf(f.storage, "to-file"), "content");
  using _clock = stopClock(later());
  assertEquals(await f.storage.checksum(name("d/a"), "md5"), md5("content"));
  const { type, size, checksum: digest } = await f.storage.stat(name("to-file"));
  assertEquals({ type, size, digest }, { type: "file", size: 7, digest: md5("content") });
  assertEquals((await f.storage.stat(name("to-dir"))).type, "directory");
  await put(f.storage, "to-dir/new/b", "new");
  assertEquals(Deno.readTextFileSync(f.path("d/new/b")), "new");
  await f.storage.mkdir(name("to-dir"));
  await f.storage.mkdir(name("to-dir/more"));
  assert(Deno.lstatSync(f.path("d/more")).isDirectory);
  await assertCode("not_a_file", () => f.storage.create(name("to-dir"), { size: 1 }));
  await assertCode("not_a_file", () => f.storage.create(name("to-file/x"), { size: 1 }));
});

Deno.test("FsStorage.list() shows a linked directory and does not descend into it", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "content");
  Deno.symlinkSync("..", f.path("d/up"));
  Deno.symlinkSync("d", f.path("e"));
  assertEquals(await listed(f.storage), ["d", "d/a", "d/up", "e"]);
  assertEquals(await listed(f.storage, "e"), ["e/a", "e/up"]);
});

Deno.test("FsStorage.commit() onto a link takes the link's place", async () => {
  await using f = new Fixture();
  await put(f.storage, "target", "old");
  Deno.symlinkSync("target", f.path("link"));
  await assertCode("exists", () => put(f.storage, "link", "new"));
  assertEquals((await put(f.storage, "link", "old")).unchanged, true);
  await put(f.storage, "link", "new", { replace: true });
  assertEquals(Deno.readTextFileSync(f.path("target")), "old");
  assert(Deno.lstatSync(f.path("link")).isFile);
  assertEquals(await textOf(f.storage, "link"), "new");
});

Deno.test("FsStorage.remove() of a link leaves what it leads to", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "content");
  Deno.mkdirSync(f.dir.join("outside"));
  f.dir.write("outside/b", "outside");
  for (const target of ["d", "../outside", "nowhere", ".ferry"]) {
    Deno.symlinkSync(target, f.path("link"));
    await f.storage.remove(name("link"), { recursive: true });
    assert(!isTaken(f.path("link")));
  }
  assertEquals(await listed(f.storage), ["d", "d/a"]);
  assertEquals(namesIn(f.dir.join("outside")), ["b"]);
  assert(namesIn(f.path(".ferry")).includes("staging"));
});

/** What must hold for every name that leads to something that is not to be reached. */
async function assertOutOfReach(storage: FsStorage, filename: string): Promise<void> {
  const out = name(filename);
  await assertCode("not_found", () => storage.stat(out));
  await assertCode("not_found", () => storage.open(out, "md5"));
  await assertCode("not_found", () => storage.checksum(out, "md5"));
  await assertCode("not_found", () => listed(storage, filename));
  const below = name(`${filename}/new`);
  await assertCode("not_found", () => put(storage, `${filename}/new`, "x", { replace: true }));
  await assertCode("not_found", () => put(storage, `${filename}/new/deep`, "x"));
  await assertCode("not_found", () => storage.mkdir(below));
  await assertCode("not_found", () => storage.mkdir(name(`${filename}/new/deep`)));
  await assertCode("not_found", () => storage.remove(below, { recursive: true }));
  await assertCode("not_found", () => storage.move(name("mine"), below, { replace: true }));
  await assertCode("not_found", () => storage.move(below, name("taken"), { replace: true }));
  assert(!(await listed(storage)).some((shown) => shown.startsWith(filename)), "it is listed");
}

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
  await using pending = await resume(f.storage, "large", options);
  assertEquals(pending?.prefix?.size, 128_000);
});

Deno.test("FsStorage links out of the root lead nowhere", async () => {
  await using f = new Fixture();
  await put(f.storage, "mine", "mine");
  // Its path begins like the root's, and is not below it.
  const outside = `${f.root}side`;
  Deno.mkdirSync(`${outside}/sub`, { recursive: true });
  Deno.writeTextFileSync(`${outside}/secret`, "secret");
  const links = { absolute: outside, relative: "../rootside", up: "..", top: "/" };
  for (const [link, target] of Object.entries(links)) {
    Deno.symlinkSync(target, f.path(link));
    await assertOutOfReach(f.storage, link);
  }
  Deno.symlinkSync("absolute/sub", f.path("twice"));
  await assertOutOfReach(f.storage, "twice");
  for (const through of ["absolute/secret", "up/rootside/secret"]) {
    await assertCode("not_found", () => f.storage.open(name(through), "md5"));
    await assertCode("not_found", () => f.storage.checksum(name(through), "md5"));
    await assertCode("not_found", () => f.storage.remove(name(through), { recursive: false }));
  }
  assertEquals(namesIn(outside), ["secret", "sub"]);
  assertEquals(namesIn(`${outside}/sub`), []);
  assertEquals(namesIn(f.dir.path), ["root", "rootside"]);
  assertEquals(await f.leftovers(), []);
});

Deno.test("FsStorage a link to a file out of the root is not written through", async () => {
  await using f = new Fixture();
  f.dir.write("secret", "secret");
  Deno.symlinkSync("../secret", f.path("link"));
  await assertCode("not_found", () => f.storage.open(name("link"), "md5"));
  await assertCode("exists", () => put(f.storage, "link", "x"));
  await assertCode("exists", () => f.storage.mkdir(name("link")));
  assertEquals(await listed(f.storage), []);
  await put(f.storage, "link", "x", { replace: true });
  assert(Deno.lstatSync(f.path("link")).isFile);
  assertEquals(Deno.readTextFileSync(f.dir.join("secret")), "secret");
});

Deno.test("FsStorage a link that leads out only after create() is not written through", async () => {
  await using f = new Fixture();
  Deno.mkdirSync(f.dir.join("outside"));
  Deno.mkdirSync(f.path("d"));
  await using pending = await begin(f.storage, "d/a", "x");
  Deno.removeSync(f.path("d"));
  Deno.symlinkSync("../outside", f.path("d"));
  await assertCode("not_found", () => pending.commit({ checksum: md5("x"), replace: true }));
  assertEquals(namesIn(f.dir.join("outside")), []);
});

Deno.test("FsStorage links into its own directory lead nowhere", async () => {
  await using f = new Fixture();
  await put(f.storage, "mine", "mine");
  Deno.symlinkSync(".ferry", f.path("own"));
  Deno.symlinkSync(".ferry/staging", f.path("staging"));
  await assertOutOfReach(f.storage, "own");
  await assertOutOfReach(f.storage, "staging");
  Deno.symlinkSync(".ferry/lock", f.path("lock"));
  await assertCode("not_found", () => f.storage.open(name("lock"), "md5"));
  await assertCode("not_found", () => f.storage.open(name("own/index.db"), "md5"));
  // By way of a link to the root, its own name is no reserved one.
  Deno.symlinkSync(".", f.path("top"));
  await assertOutOfReach(f.storage, "top/.ferry");
  await assertCode("not_found", () => f.storage.remove(name("top/.ferry"), { recursive: true }));
  const found = await f.storage.findAll(["own/lock", "top/.ferry", "top/mine", "lock"].map(name));
  assertEquals(found.map((entry) => entry && (entry as { size: number }).size), [
    undefined,
    undefined,
    4,
    undefined,
  ]);
  assertEquals(await listed(f.storage), ["mine", "top"]);
});

Deno.test("FsStorage.move() of a directory into itself by way of a link is bad_name", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "x");
  Deno.symlinkSync("d", f.path("link"));
  for (const to of ["link/b", "link/c/b"].map(name)) {
    await assertCode("bad_name", () => f.storage.move(name("d"), to, { replace: false }));
  }
  assertEquals(await textOf(f.storage, "d/a"), "x");
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
  await file.remember(PLANTED);
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
