import { assert, assertEquals } from "@std/assert";
import type { Entry } from "../../../page/door/door.ts";
import { archivePath, downloadOf, downloadPath } from "../../../page/door/download.ts";

const place = { prefix: "", directory: "a b" };

function entry(name: string, type = "file"): Entry {
  return { name, type, size: 1, mtime: 0 };
}

Deno.test("a file is downloaded as it is, a directory as an archive", () => {
  assertEquals(downloadPath(place, entry("x&y.txt")), "/a%20b/x%26y.txt?download");
  assertEquals(downloadPath(place, entry("d", "directory")), "/a%20b/d/?archive=zip");
  const shared = { prefix: "/.ferry/s/L", directory: "" };
  assertEquals(downloadPath(shared, entry("x")), "/.ferry/s/L/x?download");
});

Deno.test("a file with a name that browsers do not save comes in an archive", () => {
  assertEquals(downloadPath(place, entry("x".repeat(240))).endsWith("?download"), true);
  const long = "年".repeat(81);
  assertEquals(
    downloadPath(place, entry(long)),
    `/a%20b/?archive=zip&name=${encodeURIComponent(long)}`,
  );
});

Deno.test("an entry of a directory below is downloaded from there", () => {
  const long = "x".repeat(241);
  assertEquals(downloadPath(place, entry("in/x")), "/a%20b/in/x?download");
  assertEquals(downloadPath(place, entry(`in/${long}`)), `/a%20b/in/?archive=zip&name=${long}`);
  assertEquals(downloadOf(place, [entry("in/x"), entry("y")], 3), undefined);
});

Deno.test("several entries come in one archive, unless they are too many to be named", () => {
  const [a, b, c] = [entry("a&"), entry("b"), entry("c")] as const;
  assertEquals(downloadOf(place, [a], 3), "/a%20b/a%26?download");
  assertEquals(downloadOf(place, [a, c], 3), "/a%20b/?archive=zip&name=a%26&name=c");
  assertEquals(downloadOf(place, [a, b, c], 3), archivePath(place));
  const many = Array.from({ length: 1000 }, (_, i) => entry(`file ${i}`));
  assertEquals(downloadOf(place, many, 1001), undefined);
  assert(downloadOf(place, many, 1000));
});
