import { assert, assertEquals } from "@std/assert";
import { DatabaseSync, StatementSync } from "node:sqlite";
import {
  ChecksumCache,
  type FileIdentity,
  identityOf,
} from "../../../../server/storage/fs/checksum_cache.ts";
import { isTaken } from "../../../../lib/files/path_lookup.ts";
import { Pair } from "../../../support/pair.ts";
import { TempDir } from "../../../support/programs.ts";

const A = "a".repeat(32);
const B = "b".repeat(32);

/** What seals A as the checksum of `f` in the state 1:2:3. */
const SEAL = "4bcc24f8:fba6cb56";

function identity(key: string, version = "1:2:3"): FileIdentity {
  return { key, version };
}

Deno.test("ChecksumCache.lookup() tells what was recorded for exactly that state", () => {
  using cache = ChecksumCache.open();
  assertEquals(cache.lookup(identity("f"), "md5"), null);
  cache.record([{ identity: identity("f"), checksum: A }, {
    identity: identity("g"),
    checksum: B,
  }]);
  assertEquals(cache.lookup(identity("f"), "md5"), A);
  assertEquals(cache.lookup(identity("g"), "md5"), B);
  assertEquals(cache.lookup(identity("f", "1:2:4"), "md5"), null);
  assertEquals(cache.lookup(identity("F"), "md5"), null);
  assertEquals(cache.lookup(identity("f", ""), "md5"), null);
  assertEquals(cache.lookup(identity("f"), "md5"), A, "a look with another state forgot it");
});

Deno.test("ChecksumCache.record() replaces what was known of a file", () => {
  using cache = ChecksumCache.open();
  cache.record([]);
  cache.record([{ identity: identity("f", "old"), checksum: A }]);
  cache.record([{ identity: identity("f", "new"), checksum: B }]);
  assertEquals(cache.lookup(identity("f", "old"), "md5"), null);
  assertEquals(cache.lookup(identity("f", "new"), "md5"), B);
});

Deno.test("ChecksumCache.forget() forgets one file", () => {
  using cache = ChecksumCache.open();
  cache.record([{ identity: identity("f"), checksum: A }, {
    identity: identity("g"),
    checksum: B,
  }]);
  cache.forget(identity("f", "whatever state"));
  cache.forget(identity("never known"));
  assertEquals(cache.lookup(identity("f"), "md5"), null);
  assertEquals(cache.lookup(identity("g"), "md5"), B);
});

Deno.test("ChecksumCache keeps in a file what it knows, and without one nothing", async () => {
  await using dir = new TempDir();
  const path = dir.join("index.db");
  {
    using cache = ChecksumCache.open(path);
    cache.record([{ identity: identity("f"), checksum: A }]);
  }
  {
    using cache = ChecksumCache.open(path);
    assertEquals(cache.lookup(identity("f"), "md5"), A);
  }
  using other = ChecksumCache.open();
  assertEquals(other.lookup(identity("f"), "md5"), null);
});

Deno.test("ChecksumCache writes checksums that are recorded one after the other together", async () => {
  await using dir = new TempDir();
  const path = dir.join("index.db");
  const names = ["a", ...Array.from({ length: 256 }, (_, at) => `b${at}`), "c", "d"];
  {
    using cache = ChecksumCache.open(path);
    for (const name of names) cache.record([{ identity: identity(name), checksum: A }]);
    assertEquals(names.filter((name) => cache.lookup(identity(name), "md5") !== A), []);
    cache.record([{ identity: identity("c", "new"), checksum: B }]);
    assertEquals(cache.lookup(identity("c"), "md5"), null);
    cache.forget(identity("d"));
    assertEquals(cache.lookup(identity("d"), "md5"), null);
  }
  using cache = ChecksumCache.open(path);
  const known = ["a", "b0", "b255"].map((name) => cache.lookup(identity(name), "md5"));
  assertEquals(known, [A, A, A]);
  assertEquals(cache.lookup(identity("c", "new"), "md5"), B);
  assertEquals(cache.lookup(identity("d"), "md5"), null);
});

/** Changes the row of `f` behind the cache's back. */
function tamper(path: string, statement: string): void {
  const database = new DatabaseSync(path);
  const { changes } = database.prepare(statement).run();
  database.close();
  assertEquals(Number(changes), 1);
}

const TAMPERED: Record<string, string> = {
  "another md5": `UPDATE checksums SET checksum = '${B}'`,
  "another version": "UPDATE checksums SET version = '9:9:9'",
  "another key": "UPDATE checksums SET key = 'h'",
  "another seal": `UPDATE checksums SET seal = '${B}'`,
  "a number for an md5": "UPDATE checksums SET checksum = 7",
  "bytes for an md5": `UPDATE checksums SET checksum = x'${A}'`,
  "an empty seal": "UPDATE checksums SET seal = ''",
  "a seal of ferry 0.1": "UPDATE checksums SET seal = 'fb1c2d4b:6cd641dd'",
};

for (const [what, statement] of Object.entries(TAMPERED)) {
  Deno.test(`ChecksumCache.lookup() does not believe a row with ${what}`, async () => {
    await using dir = new TempDir();
    const path = dir.join("index.db");
    {
      using cache = ChecksumCache.open(path);
      cache.record([{ identity: identity("f"), checksum: A }]);
    }
    tamper(path, statement);
    using cache = ChecksumCache.open(path);
    for (const version of ["1:2:3", "9:9:9"]) {
      for (const key of ["f", "h"]) assertEquals(cache.lookup(identity(key, version), "md5"), null);
    }
    cache.record([{ identity: identity("f"), checksum: A }]);
    assertEquals(cache.lookup(identity("f"), "md5"), A);
  });
}

const UNREADABLE: Record<string, (path: string) => void> = {
  "garbage": (path) => Deno.writeTextFileSync(path, "no database".repeat(1000)),
  "a database of another kind": (path) => {
    Deno.removeSync(path);
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE checksums (only TEXT); INSERT INTO checksums VALUES ('x')");
    database.close();
  },
  "cut short": (path) => Deno.truncateSync(path, 5000),
  "empty": (path) => Deno.truncateSync(path, 0),
};

for (const [what, damage] of Object.entries(UNREADABLE)) {
  Deno.test(`ChecksumCache begins anew where the file is ${what}`, async () => {
    await using dir = new TempDir();
    const path = dir.join("index.db");
    {
      using cache = ChecksumCache.open(path);
      cache.record([{ identity: identity("f"), checksum: A }]);
    }
    damage(path);
    {
      using cache = ChecksumCache.open(path);
      assertEquals(cache.lookup(identity("f"), "md5"), null);
      cache.record([{ identity: identity("g"), checksum: B }]);
      assertEquals(cache.lookup(identity("g"), "md5"), B);
    }
    using cache = ChecksumCache.open(path);
    assertEquals(cache.lookup(identity("g"), "md5"), B, "it is not kept again");
  });
}

Deno.test("ChecksumCache begins anew where the database breaks while it is open", async () => {
  await using dir = new TempDir();
  const path = dir.join("index.db");
  using cache = ChecksumCache.open(path);
  cache.record([{ identity: identity("f"), checksum: A }]);
  const { get } = StatementSync.prototype;
  StatementSync.prototype.get = () => {
    throw new Error("database disk image is malformed");
  };
  try {
    assertEquals(cache.lookup(identity("f"), "md5"), null);
  } finally {
    StatementSync.prototype.get = get;
  }
  assertEquals(cache.lookup(identity("f"), "md5"), null);
  cache.record([{ identity: identity("g"), checksum: B }]);
  assertEquals(cache.lookup(identity("g"), "md5"), B);
  cache.forget(identity("g"));
  assertEquals(cache.lookup(identity("g"), "md5"), null);
});

Deno.test("ChecksumCache goes on with a database of ferry 0.1 that was left open, and clears its mapped file", async () => {
  await using dir = new TempDir();
  const [path, left] = [dir.join("index.db"), dir.join("left.db")];
  const old = new DatabaseSync(left);
  old.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE checksums (
      key TEXT NOT NULL, algorithm TEXT NOT NULL, version TEXT NOT NULL, checksum TEXT NOT NULL,
      seal TEXT NOT NULL, PRIMARY KEY (key, algorithm)
    ) WITHOUT ROWID;
    INSERT INTO checksums VALUES ('f', 'md5', '1:2:3', '${A}', '${SEAL}');
  `);
  // As a process that was killed leaves them.
  for (const suffix of ["", "-wal", "-shm"]) Deno.copyFileSync(left + suffix, path + suffix);
  old.close();
  using cache = ChecksumCache.open(path);
  assertEquals(cache.lookup(identity("f"), "md5"), A);
  cache.record([{ identity: identity("g"), checksum: B }]);
  assertEquals(cache.lookup(identity("g"), "md5"), B);
  assert(!isTaken(`${path}-shm`), "it is mapped still");
});

const readsMaps = "ferryd maps no file of its directory, which a full disk could end it by";
Deno.test({ name: readsMaps, ignore: Deno.build.os !== "linux" }, async () => {
  await using p = await Pair.start();
  p.dir.write("cwd/f", "content");
  assertEquals((await p.run("put", "f")).code, 0);
  assert(isTaken(`${p.root}/.ferry/index.db`), "there is no cache");
  const args = [`/proc/${p.server.pid}/maps`];
  const { stdout } = await new Deno.Command("cat", { args }).output();
  const maps = new TextDecoder().decode(stdout).split("\n");
  assert(maps.some((line) => line.includes("deno")), "that is not how it is seen");
  assertEquals(maps.filter((line) => line.includes(p.root) || line.includes("/.ferry/")), []);
});

Deno.test("ChecksumCache remembers nothing when it is closed, and opens no other database", async () => {
  await using dir = new TempDir();
  const path = dir.join("index.db");
  const cache = ChecksumCache.open(path);
  cache.record([{ identity: identity("f"), checksum: A }]);
  cache[Symbol.dispose]();
  Deno.removeSync(path);
  // As a file does that was still being read for its checksum.
  cache.record([{ identity: identity("g"), checksum: B }]);
  for (const key of ["f", "g"]) assertEquals(cache.lookup(identity(key), "md5"), null);
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), []);
});

Deno.test("ChecksumCache works in memory where the disk takes no database", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("index.db/full"), { recursive: true });
  for (const path of [dir.join("index.db"), dir.join("missing/index.db")]) {
    using cache = ChecksumCache.open(path);
    cache.record([{ identity: identity("f"), checksum: A }]);
    assertEquals(cache.lookup(identity("f"), "md5"), A);
  }
});

Deno.test("identityOf() changes with the content's size, times and inode, not with the name", async () => {
  await using dir = new TempDir();
  const path = dir.write("a", "12345");
  Deno.utimeSync(path, 1000, 1000);
  const before = identityOf(Deno.lstatSync(path));
  assertEquals(identityOf(Deno.lstatSync(path)), before);

  Deno.utimeSync(path, 1000, new Date(1_000_001));
  const touched = identityOf(Deno.lstatSync(path));
  assertEquals(touched.key, before.key);
  assert(touched.version !== before.version, "a millisecond is not seen");

  Deno.writeTextFileSync(path, "6", { append: true });
  Deno.utimeSync(path, 1000, new Date(1_000_001));
  assert(identityOf(Deno.lstatSync(path)).version !== touched.version, "the size is not seen");

  const stats = Deno.lstatSync(path);
  const now = identityOf(stats).version;
  stats.ctime = new Date(stats.ctime!.getTime() + 1);
  assert(identityOf(stats).version !== now, "the change time is not seen");

  Deno.renameSync(path, dir.join("b"));
  assertEquals(identityOf(Deno.lstatSync(dir.join("b"))).key, before.key);
  dir.write("a", "12345");
  assert(identityOf(Deno.lstatSync(path)).key !== before.key, "the inode is not seen");
});

Deno.test("ChecksumCache.computeOnce() asks once for all until it is closed", async () => {
  using cache = ChecksumCache.open();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const closed = Promise.withResolvers<void>();
  let asked = 0;
  const ask = (told: string, until: Promise<void>) =>
    cache.computeOnce(identity("f"), "md5", async (close) => {
      asked++;
      await until;
      close();
      closed.resolve();
      await second.promise;
      return told;
    });
  const early = [ask(A, first.promise), ask(A, first.promise)];
  await Promise.resolve();
  assertEquals(asked, 1);
  first.resolve();
  await closed.promise;
  const late = ask(B, Promise.resolve());
  second.resolve();
  assertEquals(await Promise.all([...early, late]), [A, A, B]);
  assertEquals(asked, 2);
});

const INFO = { dev: 1, ino: 256, size: 3, mtime: new Date(1000), ctime: new Date(2000) };

Deno.test("ChecksumCache goes by the name, too, where two files may have one number", () => {
  for (const [device, known] of [[1, A], [2, null], [undefined, null]] as const) {
    using cache = ChecksumCache.open(undefined, { device, mountOf: () => "mount" });
    cache.record([{ identity: cache.identify(INFO, "a/f"), checksum: A }]);
    assertEquals(cache.lookup(cache.identify(INFO, "a/f"), "md5"), A);
    assertEquals(cache.lookup(cache.identify(INFO, "b/f"), "md5"), known, String(device));
  }
});

Deno.test("ChecksumCache believes nothing beyond the mount that it was seen on, nor in another process", async () => {
  await using dir = new TempDir();
  const path = dir.join("index.db");
  let mount: string | undefined = "first";
  const open = () => ChecksumCache.open(path, { device: 2, mountOf: () => mount });
  const lookup = (cache: ChecksumCache, dev: number) =>
    cache.lookup(cache.identify({ ...INFO, dev }, "f"), "md5");
  {
    using cache = open();
    const files = [1, 2].map((dev) => cache.identify({ ...INFO, dev }, "f"));
    cache.record(files.map((identity) => ({ identity, checksum: A })));
    assertEquals([lookup(cache, 1), lookup(cache, 2)], [A, A]);
    for (mount of ["second", undefined]) {
      assertEquals([lookup(cache, 1), lookup(cache, 2)], [null, A], mount);
    }
    cache.record([{ identity: cache.identify(INFO, "f"), checksum: B }]);
    assertEquals(lookup(cache, 1), null, "it remembers where nothing tells the mount");
    mount = "first";
    assertEquals(lookup(cache, 1), A);
    cache.forget(cache.identify(INFO, "f"));
    assertEquals(lookup(cache, 1), null);
    cache.record([{ identity: cache.identify(INFO, "f"), checksum: A }]);
  }
  using cache = open();
  assertEquals([lookup(cache, 1), lookup(cache, 2)], [null, A]);
});

Deno.test("ChecksumCache remembers no more than it has room for of what passes with a mount", () => {
  using cache = ChecksumCache.open(undefined, { mountOf: () => "mount" });
  const identities = Array.from(
    { length: 65_537 },
    (_, ino) => cache.identify({ ...INFO, ino }, "f"),
  );
  cache.record(identities.map((identity) => ({ identity, checksum: A })));
  const [first, second] = identities;
  assertEquals(cache.lookup(first!, "md5"), null);
  assertEquals(cache.lookup(second!, "md5"), A);
});
