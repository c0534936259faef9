import { assertEquals, assertThrows } from "@std/assert";
import {
  assertDistinct,
  LocalTarget,
  mayBeSeveral,
  nameOnServer,
  remoteName,
} from "../../../client/transfer/names.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { TempDir } from "../../support/programs.ts";

Deno.test("remoteName() understands the ways to write a name", () => {
  const names: Record<string, string> = {
    ".": "",
    "/": "",
    "./": "",
    "./.": "",
    "a": "a",
    "./a": "a",
    ".//./a": "a",
    "a/": "a",
    "a//": "a",
    "a/.": "a",
    "./a/b/": "a/b",
    "a./": "a.",
    ".a/": ".a",
    // What leads elsewhere is left to the server, which refuses it.
    "/a": "/a",
    "..": "..",
    "a/..": "a/..",
    "a//b": "a//b",
  };
  for (const [text, name] of Object.entries(names)) assertEquals(remoteName(text), name, text);
});

Deno.test("remoteName() does not take an empty text, as of a variable that is not set, for the root", () => {
  const error = assertThrows(() => remoteName(""), FerryError);
  assertEquals([error.code, error.reason], [
    "usage",
    "a name is empty: write . for the directory that is served",
  ]);
});

Deno.test("nameOnServer() tells a name that something becomes from a directory that it goes into", () => {
  const cases: [path: string, as: string | undefined, to: string | undefined, name: string][] = [
    ["x/f", undefined, undefined, "f"],
    ["x/f", "g", undefined, "g"],
    ["x/f", "g/", undefined, "g/f"],
    ["x/f", "./g/h", undefined, "g/h"],
    ["x/f", ".", undefined, "f"],
    ["x/f", "/", undefined, "f"],
    ["x/f", undefined, "d", "d/f"],
    ["x/f", undefined, "/d/", "d/f"],
    ["x/f", undefined, ".", "f"],
    ["x/f", "g", "d", "d/g"],
    ["x/f", "g/", "d", "d/g/f"],
    ["x/f", "/etc/g", undefined, "/etc/g"],
    ["-", "g", "d", "d/g"],
  ];
  for (const [path, as, to, name] of cases) {
    assertEquals(nameOnServer(path, { as, to }), name, JSON.stringify([path, as, to]));
  }
  for (const as of [undefined, "g/", "."]) {
    assertThrows(
      () => nameOnServer("-", { as, to: "d" }),
      FerryError,
      "standard input has no name",
    );
  }
});

Deno.test("LocalTarget means the same by a path whether a directory is there or not", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("there"));
  dir.write("file", "x");
  const paths = (out: string | undefined, many = false) => {
    const target = new LocalTarget(out, { many });
    return [target.ofFile("a/f"), target.ofDirectory("a/d")];
  };
  assertEquals(paths(undefined), ["f", "d"]);
  const at = (path: string) => dir.join(path);
  assertEquals(paths(at("new")), [at("new"), at("new")]);
  // A file goes into a directory, as with cp; a directory becomes what is named.
  assertEquals(paths(at("there")), [at("there/f"), at("there")]);
  assertEquals(paths(at("file")), [at("file"), at("file")]);
  for (const out of ["new/", "there/", "there/.", "there/../there/"]) {
    const [file, directory] = paths(`${dir.path}/${out}`);
    const into = out.startsWith("new") ? "new" : "there";
    assertEquals([file, directory], [at(`${into}/f`), at(`${into}/d`)]);
  }
  for (const out of ["new", "there"]) {
    assertEquals(paths(at(out), true), [at(`${out}/f`), at(`${out}/d`)]);
  }
  assertEquals(paths("."), ["f", "d"]);
  assertEquals(new LocalTarget(undefined, { many: false }).ofDirectory(""), ".");
  assertThrows(() => paths(at("file"), true), FerryError, "is no directory, and several files");
});

Deno.test("mayBeSeveral() takes a pattern for several, but not the name of a file that looks like one", () => {
  assertEquals(mayBeSeveral(["a"], ["a"]), false);
  assertEquals(mayBeSeveral(["a", "b"], ["a", "b"]), true);
  assertEquals(mayBeSeveral(["*.txt"], ["a.txt"]), true);
  assertEquals(mayBeSeveral(["a[1]"], ["a[1]"]), false);
});

Deno.test("assertDistinct() refuses two sources for one place, and names both", () => {
  assertDistinct([["a", "x/a"], ["b", "x/b"]]);
  const error = assertThrows(
    () => assertDistinct([["a/f", "x/f"], ["c", "x/c"], ["b/f", "x/f"]]),
    FerryError,
  );
  assertEquals([error.code, error.message], [
    "usage",
    '"a/f" and "b/f" would both become "x/f"',
  ]);
});
