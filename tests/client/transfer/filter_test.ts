import { assert, assertEquals } from "@std/assert";
import { Filter, type FilterOptions } from "../../../client/transfer/filter.ts";
import { TempDir } from "../../support/programs.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 29 });

/** Which of the names are accepted; one that ends with a slash is a directory. */
function accepted(options: FilterOptions, names: string[]): string[] {
  const filter = new Filter(options);
  return names.filter((name) =>
    name.endsWith("/")
      ? filter.accepts(name.slice(0, -1), "directory")
      : filter.accepts(name, "file")
  );
}

Deno.test("Filter.accepts() everything without patterns", () => {
  const names = ["a", "a/b", "a/", ".hidden", ".git/config", "a b/ü", "#x", "!x"];
  assertEquals(accepted({}, names), names);
  assertEquals(accepted({ include: [], exclude: [] }, names), names);
});

Deno.test("Filter.accepts() nothing that is excluded", () => {
  const table: [pattern: string, names: string[], expected: string[]][] = [
    ["*.log", ["a.log", "d/a.log", "a.log.txt", "log"], ["a.log.txt", "log"]],
    ["/a", ["a", "d/a", "a/b"], ["d/a"]],
    ["build/", ["build/", "build", "d/build/"], ["build"]],
    ["d/*.tmp", ["d/a.tmp", "a.tmp", "e/d/a.tmp", "d/e/a.tmp"], [
      "a.tmp",
      "e/d/a.tmp",
      "d/e/a.tmp",
    ]],
    ["**/cache/**", ["cache/x", "d/cache/x/y", "cached"], ["cached"]],
    ["file?.[ch]", ["file1.c", "file2.h", "file.c", "file1.o"], ["file.c", "file1.o"]],
    ["# a comment", ["# a comment", "a"], ["# a comment", "a"]],
    ["\\#x", ["#x", "x"], ["x"]],
    ["*.JPG", ["a.JPG", "a.jpg"], ["a.jpg"]],
    ["", ["a"], ["a"]],
  ];
  for (const [pattern, names, expected] of table) {
    assertEquals(accepted({ exclude: [pattern] }, names), expected, pattern);
  }
});

Deno.test("Filter.accepts() what a later pattern takes back", () => {
  const names = ["a.log", "keep.log", "d/keep.log"];
  assertEquals(accepted({ exclude: ["*.log", "!keep.log"] }, names), ["keep.log", "d/keep.log"]);
  assertEquals(accepted({ exclude: ["!keep.log", "*.log"] }, names), []);
});

Deno.test("Filter.accepts() nothing in an excluded directory, as nobody goes there", () => {
  const exclude = ["d/", "!d/keep"];
  assertEquals(accepted({ exclude }, ["d/", "d/keep", "d/e/f", "keep"]), ["keep"]);
  // Excluding what is in it leaves the directory open.
  assertEquals(accepted({ exclude: ["d/*", "!d/keep"] }, ["d/", "d/keep", "d/e"]), [
    "d/",
    "d/keep",
  ]);
});

Deno.test("Filter.accepts() with includes only files that match, and every directory", () => {
  const names = ["a.jpg", "a.txt", "d/", "d/b.jpg", "d/b.txt", "x.jpg/", "x.jpg/c.txt"];
  assertEquals(accepted({ include: ["*.jpg"] }, names), [
    "a.jpg",
    "d/",
    "d/b.jpg",
    "x.jpg/",
    "x.jpg/c.txt",
  ]);
  assertEquals(accepted({ include: ["d/"] }, names), ["d/", "d/b.jpg", "d/b.txt", "x.jpg/"]);
  assertEquals(accepted({ include: ["*.jpg", "/a.txt"] }, ["a.txt", "d/a.txt"]), ["a.txt"]);
  assertEquals(accepted({ include: ["*", "!*.txt"] }, ["a.jpg", "a.txt"]), ["a.jpg"]);
});

Deno.test("Filter.accepts() nothing that is included and excluded", () => {
  const options = { include: ["*.jpg"], exclude: ["thumbnails/"] };
  assertEquals(accepted(options, ["a.jpg", "thumbnails/", "thumbnails/a.jpg"]), ["a.jpg"]);
});

Deno.test("Filter.keeps() directories for their own sake unless others are asked for", () => {
  assert(new Filter().keeps("d"));
  assert(new Filter({ exclude: ["e"] }).keeps("d"));
  const filter = new Filter({ include: ["*.jpg", "docs/"] });
  assertEquals(["d", "docs", "d/docs", "docs/e"].map((name) => filter.keeps(name)), [
    false,
    true,
    true,
    true,
  ]);
});

Deno.test("Filter.accepts() any name and any pattern without failing", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1 })
    .filter((name) => !/^\.{0,2}(\/|$)|\/$/.test(name));
  const pattern = fc.string({ unit: fc.constantFrom(..."ab*?[]!-\\/{}()#. ^$+|\n") });
  fc.assert(fc.property(fc.array(pattern), name, (patterns, name) => {
    const filter = new Filter({ include: patterns, exclude: patterns });
    // What is included and excluded alike is excluded.
    assert(patterns.length === 0 || !filter.accepts(name, "file"));
    filter.accepts(name, "directory");
  }));
});

Deno.test("Filter.accepts() what git does not ignore", async () => {
  await using dir = new TempDir();
  const exclude = ["*.o", "!keep.o", "/out", "docs/**/draft", "tmp/", "a\\ b", "[xyz].c", "**/z/w"];
  const names = [
    ...["a.o", "keep.o", "d/a.o", "d/keep.o", "out", "d/out", "docs/draft", "docs/1/2/draft"],
    ...["tmp/x", "d/tmp/x", "tmpx", "a b", "a  b", "x.c", "w.c", "z/w", "d/z/w", "d/z/wx"],
  ];
  dir.write(".gitignore", exclude.join("\n"));
  const git = async (args: string[]) =>
    await new Deno.Command("git", { args, cwd: dir.path }).output();
  assertEquals((await git(["init", "--quiet"])).code, 0);
  const { stdout } = await git(["check-ignore", "--no-index", ...names]);
  const ignored = new TextDecoder().decode(stdout).split("\n").filter((name) => name !== "");
  assert(ignored.length > 5);
  assertEquals(accepted({ exclude }, names), names.filter((name) => !ignored.includes(name)));
});
