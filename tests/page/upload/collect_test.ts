/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { chosen, collect, type Entry, topOf } from "../../../page/upload/collect.ts";

function file(name: string): Entry {
  const entry = {
    name,
    isDirectory: false,
    file: (done: (file: File) => void) => done(new File([], name)),
  };
  return entry;
}

/** A directory, which lists its entries in parts of two, as browsers do in parts of 100. */
function directory(name: string, ...inside: Entry[]): Entry {
  const createReader = () => {
    const left = [...inside];
    return { readEntries: (done: (entries: Entry[]) => void) => done(left.splice(0, 2)) };
  };
  const entry = { name, isDirectory: true, createReader };
  return entry;
}

function failing(name: string): Entry {
  const fail = (_: unknown, failed: (error: Error) => void) => failed(new Error("no"));
  const entry = { name, isDirectory: false, file: fail };
  return entry;
}

function picked(path: string, name = path.split("/").at(-1)!): File {
  const file = new File([], name);
  Object.defineProperty(file, "webkitRelativePath", { value: path.includes("/") ? path : "" });
  return file;
}

Deno.test("a dropped directory is listed completely, with the empty directories in it", async () => {
  const found = await collect([
    directory(
      "top",
      directory("empty"),
      directory("deep", file("1"), file("2"), file("3"), directory("er", file("x"))),
      file("a\\b"),
    ),
    file("single"),
  ]);
  assertEquals(
    found.files.map(({ path }) => path),
    ["single", "top/a\\b", "top/deep/1", "top/deep/2", "top/deep/3", "top/deep/er/x"],
  );
  assertEquals(found.directories, ["top/empty"]);
  assertEquals(found.flaws, [{ path: "top", flaw: "links" }]);
});

Deno.test("what cannot be opened is named", async () => {
  const found = await collect([directory("top", failing("secret"), failing(""), file("open"))]);
  assertEquals(found.files.map(({ path }) => path), ["top/open"]);
  assertEquals(found.flaws.map(({ path, flaw }) => `${path} ${flaw}`).sort(), [
    "top links",
    "top/ nameless",
    "top/secret unreadable",
  ]);
});

Deno.test("of several files that a dialog gives one path, each is named and none is sent", () => {
  const found = chosen([picked("top/a/b"), picked("top/a/b", "a\\b"), picked("top/c")]);
  assertEquals(found.files.map(({ path }) => path), ["top/c"]);
  assertEquals(found.flaws, [
    { path: "top", flaw: "dialog" },
    { path: "top/a/b", flaw: "renamed" },
    { path: "top/a/b", flaw: "same-path" },
  ]);
});

Deno.test("files of a dialog for files have no flaws", () => {
  const found = chosen([picked("b"), picked("a")]);
  assertEquals(found.files.map(({ path }) => path), ["a", "b"]);
  assertEquals(found.flaws, []);
});

Deno.test("the top of a path is its first part", () => {
  assertEquals(["a/b/c", "a", ""].map(topOf), ["a", "a", ""]);
});
