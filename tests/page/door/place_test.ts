import { assertEquals } from "@std/assert";
import {
  directoryPath,
  filePath,
  nameIn,
  pathTo,
  placeOf,
  shortened,
} from "../../../page/door/place.ts";

Deno.test("placeOf() reads the directory from an address, with and without a share link", () => {
  const cases: [pathname: string, prefix: string, directory: string][] = [
    ["/", "", ""],
    ["/a/", "", "a"],
    ["/a/b%20c/%E5%B9%B4/", "", "a/b c/年"],
    ["/100%/", "", "100%"],
    ["/.ferry/s/L1nk", "/.ferry/s/L1nk", ""],
    ["/.ferry/s/L1nk/", "/.ferry/s/L1nk", ""],
    ["/.ferry/s/L1nk/a/b/", "/.ferry/s/L1nk", "a/b"],
  ];
  for (const [pathname, prefix, directory] of cases) {
    assertEquals(placeOf(pathname), { prefix, directory }, pathname);
  }
});

Deno.test("the path of a name leads back to it, whatever characters it has", () => {
  for (const name of ["a", "a/b", "a b", "50%", "a?b#c", "ä/年", "a+b&c=d", "a\\b", "a;b"]) {
    assertEquals(placeOf(directoryPath("", name)).directory, name);
    const url = new URL(filePath("/.ferry/s/L", name), "http://localhost");
    assertEquals([url.search, url.hash], ["", ""], name);
    assertEquals(placeOf(url.pathname).directory, name);
  }
  assertEquals([directoryPath("", ""), directoryPath("/p", "")], ["/", "/p/"]);
});

Deno.test("pathTo() names each directory on the way", () => {
  assertEquals(pathTo(""), [{ name: "", last: "" }]);
  assertEquals(pathTo("a/b"), [
    { name: "", last: "" },
    { name: "a", last: "a" },
    { name: "a/b", last: "b" },
  ]);
  assertEquals([nameIn("", "x"), nameIn("a/b", "x")], ["x", "a/b/x"]);
});

Deno.test("a long way is shown by its ends, and leads to what is left out", () => {
  const shown = (directory: string, above: number) =>
    shortened(pathTo(directory), above).map(({ name, last }) => `${last}:${name}`);
  assertEquals(shown("a/b", 3), [":", "a:a", "b:a/b"]);
  assertEquals(shown("a/b/c/d/e", 3), [":", "…:a/b/c", "d:a/b/c/d", "e:a/b/c/d/e"]);
  assertEquals(shown("a", 1), [":", "a:a"]);
  assertEquals(shown("a/b/c", 1), ["…:a/b", "c:a/b/c"]);
});
