import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { BlockHashCache } from "../../../../server/storage/fs/block_hash_cache.ts";
import type { FileIdentity } from "../../../../server/storage/fs/checksum_cache.ts";
import { isTaken } from "../../../../lib/files/path_lookup.ts";
import { TempDir } from "../../../support/programs.ts";
import { noise } from "../../../support/stored_files.ts";

function identity(key: string, version = "1:2:3"): FileIdentity {
  return { key, version };
}

function blocks(seed: number, count = 2, block = 65536) {
  return { block, hashes: noise(8 * count, seed) };
}

Deno.test("BlockHashCache.lookup() tells what was recorded of exactly that state", () => {
  using cache = new BlockHashCache();
  assertEquals(cache.lookup(identity("f")), undefined);
  cache.record(identity("f"), blocks(1));
  cache.record(identity("g"), blocks(2));
  assertEquals(cache.lookup(identity("f")), blocks(1));
  assertEquals(cache.lookup(identity("g")), blocks(2));
  assertEquals(cache.lookup(identity("f", "1:2:4")), undefined);
  cache.record(identity("f", "new"), blocks(3, 5, 1024));
  assertEquals(cache.lookup(identity("f")), undefined);
  assertEquals(cache.lookup(identity("f", "new")), blocks(3, 5, 1024));
  cache.forget(identity("f", "any"));
  cache.forget(identity("unknown"));
  assertEquals(cache.lookup(identity("f", "new")), undefined);
  assertEquals(cache.lookup(identity("g")), blocks(2));
});

Deno.test("BlockHashCache records nothing of files that cannot be told apart, nor too many hashes", () => {
  using cache = new BlockHashCache();
  cache.record(identity(""), blocks(1));
  assertEquals(cache.lookup(identity("")), undefined);
  cache.record(identity("f"), blocks(1, 131072 + 1));
  assertEquals(cache.lookup(identity("f")), undefined);
});

Deno.test("BlockHashCache keeps what it knows on the disk, and opens nothing before it is used", async () => {
  await using dir = new TempDir();
  const path = dir.join("signatures.db");
  {
    using cache = new BlockHashCache(path);
    cache.forget(identity("f"));
    assertEquals(isTaken(path), false);
    cache.record(identity("f"), blocks(1));
  }
  {
    using cache = new BlockHashCache(path);
    assertEquals(cache.lookup(identity("f")), blocks(1));
  }
  const closed = new BlockHashCache(path);
  closed[Symbol.dispose]();
  closed.record(identity("g"), blocks(1));
  assertEquals(closed.lookup(identity("f")), undefined);
});

Deno.test("BlockHashCache keeps what is valid only for a mount in memory", async () => {
  await using dir = new TempDir();
  const path = dir.join("signatures.db");
  using cache = new BlockHashCache(path);
  const passing = { ...identity("f"), passing: true };
  cache.record(passing, blocks(1));
  assertEquals(cache.lookup(passing), blocks(1));
  assertEquals(isTaken(path), false);
  cache.forget(passing);
  assertEquals(cache.lookup(passing), undefined);
  cache.record(passing, blocks(1));
  cache.beginAnew(path);
  assertEquals(cache.lookup(passing), undefined);
});

Deno.test("BlockHashCache believes no row that was changed", async () => {
  await using dir = new TempDir();
  const path = dir.join("signatures.db");
  const changes = [
    "UPDATE hashes SET hashes = zeroblob(16)",
    "UPDATE hashes SET hashes = 'text'",
    "UPDATE hashes SET block = 4096",
    "UPDATE hashes SET key = 'g'",
    "UPDATE hashes SET version = '1:2:4'",
    "UPDATE hashes SET seal = ''",
  ];
  for (const change of changes) {
    {
      using cache = new BlockHashCache(path);
      cache.forget(identity("g"));
      cache.record(identity("f"), blocks(1));
      cache.record(identity("h"), blocks(2));
    }
    const database = new DatabaseSync(path);
    assertEquals(Number(database.prepare(`${change} WHERE key = 'f'`).run().changes), 1, change);
    database.close();
    using cache = new BlockHashCache(path);
    for (const key of ["f", "g"]) {
      for (const version of ["1:2:3", "1:2:4"]) {
        assertEquals(cache.lookup(identity(key, version)), undefined, change);
      }
    }
    assertEquals(cache.lookup(identity("h")), blocks(2), change);
    cache.record(identity("g"), blocks(9));
    cache.forget(identity("g"));
  }
});

Deno.test("BlockHashCache replaces a database that is none, and goes on without one", async () => {
  await using dir = new TempDir();
  const path = dir.write(
    "signatures.db",
    "no database at all, but long enough to be taken for one",
  );
  {
    using cache = new BlockHashCache(path);
    cache.record(identity("f"), blocks(1));
    assertEquals(cache.lookup(identity("f")), blocks(1));
  }
  using again = new BlockHashCache(path);
  assertEquals(again.lookup(identity("f")), blocks(1));
  using nowhere = new BlockHashCache(dir.join("no/such/directory/signatures.db"));
  nowhere.record(identity("f"), blocks(1));
  assertEquals(nowhere.lookup(identity("f")), blocks(1));
  nowhere.moveTo(dir.join("other.db"));
  assertEquals(nowhere.lookup(identity("f")), undefined);
});

Deno.test("BlockHashCache drops what was not used for the longest time", async () => {
  await using dir = new TempDir();
  const path = dir.join("signatures.db");
  {
    using cache = new BlockHashCache(path, 100);
    for (const [at, key] of ["a", "b", "c"].entries()) cache.record(identity(key), blocks(at, 4));
    assertEquals(cache.lookup(identity("a")), blocks(0, 4));
  }
  using cache = new BlockHashCache(path, 100);
  cache.record(identity("d"), blocks(3, 4));
  assertEquals(["a", "b", "c", "d"].filter((key) => cache.lookup(identity(key))), ["a", "c", "d"]);
  cache.record(identity("d"), blocks(4, 12));
  assertEquals(["a", "b", "c", "d"].filter((key) => cache.lookup(identity(key))), ["d"]);
});
