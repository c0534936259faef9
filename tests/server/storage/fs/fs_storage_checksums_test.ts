import { assert, assertEquals } from "@std/assert";
import { ChecksumCache, identityOf } from "../../../../server/storage/fs/checksum_cache.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { LocalFile } from "../../../../lib/files/local_file.ts";
import { later, stopClock } from "../../../support/clock.ts";
import { md5 } from "../../../support/bytes.ts";
import { put } from "../../../support/stored_files.ts";
import { Fixture } from "../../../support/fs_storage.ts";

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
