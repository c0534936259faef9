import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  joinName,
  MAX_NAME_BYTES,
  MAX_PART_BYTES,
  parentName,
  parseDirectoryName,
  parseFileName,
} from "../../../lib/core/remote_name.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

const deep = (length: number) => `${"d/".repeat(length)}`.slice(0, length);

const GOOD = [
  "a",
  "a/b.bin",
  "目录/文件.txt",
  "😀",
  "👩‍👩‍👧‍👦",
  "e\u0301",
  " ",
  "-",
  "--help",
  "...",
  "..a",
  "a..",
  ".hidden",
  "a/.ferry",
  ".ferryx",
  "x.ferry",
  ".ferry.txt/x",
  "a\\..\\b",
  "C:",
  "~",
  "~root/x",
  "$HOME",
  "*",
  "%2e%2e/%2f",
  "a\nb",
  "\x1b[2J",
  "\u202etxt.exe",
  "x".repeat(MAX_PART_BYTES),
  "中".repeat(MAX_PART_BYTES / 3),
  deep(MAX_NAME_BYTES - 1),
];

const BAD: readonly (readonly [string, string])[] = [
  ["", "empty"],
  ["/", "starts with a slash"],
  ["/etc/passwd", "starts with a slash"],
  ["//a", "starts with a slash"],
  ["a/", "ends with a slash"],
  ["a//b", "empty part"],
  [".", '"."'],
  ["..", '".."'],
  ["./a", '"."'],
  ["../a", '".."'],
  ["a/.", '"."'],
  ["a/..", '".."'],
  ["a/../b", '".."'],
  ["a/./b", '"."'],
  ["a/b/../../..", '".."'],
  ["a\0", "NUL"],
  ["\0", "NUL"],
  ["a/\0/b", "NUL"],
  ["\ud800", "well-formed"],
  ["a/\udc00b", "well-formed"],
  ["\udc00\ud800", "well-formed"],
  [".ferry", "reserved"],
  [".ferry/lock", "reserved"],
  [".FERRY", "reserved"],
  [".Ferry/staging/x", "reserved"],
  ["x".repeat(MAX_PART_BYTES + 1), "longer than 255 bytes"],
  [`a/${"x".repeat(MAX_PART_BYTES + 1)}/b`, "longer than 255 bytes"],
  ["中".repeat(86), "longer than 255 bytes"],
  ["😀".repeat(64), "longer than 255 bytes"],
  [deep(MAX_NAME_BYTES + 1), "longer than 3072 bytes"],
  ["x".repeat(1_000_000), "longer than 3072 bytes"],
];

Deno.test("parseFileName() lets good names pass as they are", () => {
  for (const text of GOOD) {
    assertEquals(parseFileName(text), text as ReturnType<typeof parseFileName>);
    assertEquals(parseDirectoryName(text), text as ReturnType<typeof parseFileName>);
  }
});

Deno.test("parseFileName() refuses hostile names and says what is wrong with them", () => {
  for (const [text, flaw] of BAD) {
    const error = assertThrows(() => parseFileName(text), FerryError);
    assertEquals(error.code, "bad_name");
    assertStringIncludes(error.message, flaw, JSON.stringify(text.slice(0, 50)));
    if (text !== "") {
      assertEquals(assertThrows(() => parseDirectoryName(text), FerryError).code, "bad_name");
    }
  }
});

Deno.test("parseDirectoryName() takes the empty name for the root", () => {
  assertEquals(parseDirectoryName(""), "");
});

/** Texts made of what names go wrong with. */
const hostile = fc.array(
  fc.oneof(
    fc.constantFrom(
      "/",
      "..",
      ".",
      "\0",
      ".ferry",
      "\ud800",
      "\\",
      "a",
      "中",
      "%2e",
      " ",
      "",
    ),
    fc.string({ unit: "binary", maxLength: 4 }),
  ),
  { maxLength: 12 },
).map((parts) => parts.join(""));

Deno.test("parseFileName() lets nothing pass that leads out of the root or into .ferry", () => {
  let passed = 0;
  fc.assert(
    fc.property(hostile, (text) => {
      let name: string;
      try {
        name = parseFileName(text);
      } catch (error) {
        assert(error instanceof FerryError && error.code === "bad_name", String(error));
        return;
      }
      passed++;
      assertEquals(name, text);
      // The resolver of URLs is an independent judge of where a path leads.
      const url = new URL(`file:///root/${name.split("/").map(encodeURIComponent).join("/")}`);
      const path = decodeURIComponent(url.pathname);
      assertEquals(path, `/root/${name}`);
      assert(!/^\/root\/\.ferry(\/|$)/i.test(path), path);
      assert(new TextEncoder().encode(name).length <= MAX_NAME_BYTES);
      assert(!name.includes("\0") && name.isWellFormed());
    }),
    { numRuns: 2000 },
  );
  assert(passed > 100, `only ${passed} names passed: nothing was tested`);
});

Deno.test("parseFileName() measures bytes exactly at the limits", () => {
  const unit = fc.constantFrom("x", "é", "中", "😀");
  fc.assert(fc.property(fc.array(unit, { minLength: 60, maxLength: 130 }), (units) => {
    const text = units.join("");
    const fits = new TextEncoder().encode(text).length <= MAX_PART_BYTES;
    let passed = true;
    try {
      parseFileName(text);
    } catch {
      passed = false;
    }
    assertEquals(passed, fits, text);
  }));
});

Deno.test("joinName(), parentName() are each other's inverse", () => {
  assertEquals(joinName("", "a") as string, "a");
  assertEquals(joinName(parseFileName("a/b"), "c") as string, "a/b/c");
  assertEquals(parentName(parseFileName("a")) as string, "");
  assertEquals(parentName(parseFileName("a/b/c")) as string, "a/b");
  for (const text of GOOD) {
    const name = parseFileName(text);
    assertEquals(joinName(parentName(name), text.split("/").at(-1)!), name);
  }
});
