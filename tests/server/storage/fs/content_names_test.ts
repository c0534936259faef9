import { assertEquals } from "@std/assert";
import type { FileName } from "../../../../lib/core/remote_name.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { ChecksumCache } from "../../../../server/storage/fs/checksum_cache.ts";
import type { ContentNames, NamedRow } from "../../../../server/storage/fs/content_names.ts";
import { md5 } from "../../../support/bytes.ts";
import { TempDir } from "../../../support/programs.ts";

const [A, B] = [md5("a"), md5("b")];

/** All names that are found, one after the other. */
function all(
  names: ContentNames,
  checksum: string | null,
  directory: FileName | "" = "",
): string[] {
  const found: string[] = [];
  let row: NamedRow | undefined;
  while ((row = names.find(1, checksum, directory, row))) found.push(row.name);
  return found;
}

Deno.test("ContentNames finds the names of a content in a directory, and no others", () => {
  using cache = ChecksumCache.open();
  const { names } = cache;
  const files = ["a/x", "a/d/y", "a0", "a.txt", "a", "ab/z", "文/件", "\u{10FFFF}"];
  for (const name of files) names.add({ name, size: 1, checksum: A });
  names.add({ name: "a/other", size: 1, checksum: B });
  names.add({ name: "a/larger", size: 2, checksum: A });
  assertEquals(all(names, A).sort(), [...files].sort());
  assertEquals(all(names, A, name("a")), ["a/d/y", "a/x"]);
  assertEquals(all(names, null, name("a")).sort(), ["a/d/y", "a/other", "a/x"]);
  assertEquals(all(names, A, name("文")), ["文/件"]);
  assertEquals(all(names, A, name("b")), []);
});

Deno.test("ContentNames forgets a name, and keeps the others", () => {
  using cache = ChecksumCache.open();
  const { names } = cache;
  for (const name of ["x", "y"]) names.add({ name, size: 1, checksum: A });
  names.forget([names.find(1, A, "")!]);
  assertEquals(all(names, A), ["y"]);
  assertEquals(all(names, null), ["y"]);
});

Deno.test("ContentNames has no empty files, and none of the server's own", () => {
  using cache = ChecksumCache.open();
  const { names } = cache;
  names.add({ name: "empty", size: 0, checksum: A });
  for (const name of [".ferry", ".ferry/records/x"]) names.add({ name, size: 1, checksum: A });
  names.add({ name: ".ferryman", size: 1, checksum: A });
  assertEquals(names.find(0, A, ""), undefined);
  assertEquals(all(names, A), [".ferryman"]);
});

Deno.test("ContentNames is kept when the database is closed", async () => {
  await using dir = new TempDir();
  const path = dir.join("index.db");
  {
    using cache = ChecksumCache.open(path);
    cache.names.add({ name: "x", size: 1, checksum: A });
  }
  using cache = ChecksumCache.open(path);
  assertEquals(all(cache.names, A), ["x"]);
  cache.moveTo(dir.join("other.db"));
  assertEquals(all(cache.names, A), []);
});
