import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { CacheDatabase } from "../../../../server/storage/fs/cache_database.ts";
import {
  EXPECTED_CHECKSUMS,
  ExpectedChecksums,
} from "../../../../server/storage/fs/expected_checksums.ts";
import { md5 } from "../../../support/bytes.ts";
import { TempDir } from "../../../support/programs.ts";

const OF_A = { version: "1:2:3", checksum: md5("a") };

Deno.test("ExpectedChecksums keeps those that were recorded last", () => {
  using database = CacheDatabase.open(undefined, EXPECTED_CHECKSUMS);
  const expected = new ExpectedChecksums(database, 2);
  for (const key of ["a", "b", "a", "c"]) {
    expected.add(key, OF_A);
    expected.flush();
  }
  assertEquals(["a", "b", "c"].map((key) => expected.find(key)), [OF_A, undefined, OF_A]);
});

Deno.test("ExpectedChecksums has no row in which a bit was flipped", async () => {
  await using dir = new TempDir();
  const path = dir.join("index.db");
  {
    using database = CacheDatabase.open(path, EXPECTED_CHECKSUMS);
    const expected = new ExpectedChecksums(database);
    expected.add("a", OF_A);
    expected.add("b", OF_A);
    expected.flush();
  }
  {
    using damaged = new DatabaseSync(path);
    damaged.prepare("UPDATE expected SET checksum = ? WHERE key = 'a'").run(md5("b"));
  }
  using database = CacheDatabase.open(path, EXPECTED_CHECKSUMS);
  const expected = new ExpectedChecksums(database);
  assertEquals([expected.find("a"), expected.find("b")], [undefined, OF_A]);
});
