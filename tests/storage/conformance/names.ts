/**
 * Every good name is kept as it is.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  MAX_NAME_BYTES,
  MAX_PART_BYTES,
  parseFileName as name,
} from "../../../lib/core/remote_name.ts";
import type { Abilities, Test } from "../conformance.ts";
import { assertCode } from "../../support/assertions.ts";
import { listed, put, textOf } from "../../support/stored_files.ts";

/** Registers the tests. */
export function testNames(test: Test, { longestName }: Abilities): void {
  /** A name of so many bytes. */
  const nameOf = (bytes: number) =>
    Array.from({ length: bytes }, (_, at) => at > 0 && (bytes - at) % 200 === 0 ? "/" : "x").join(
      "",
    );
  const longest = nameOf(longestName);
  const names = [
    "x".repeat(MAX_PART_BYTES),
    "中".repeat(MAX_PART_BYTES / 3),
    `${"😀".repeat(63)}abc`,
    longest,
    Array.from({ length: 200 }, () => "d").join("/"),
    "目录/文件 一.txt",
    "👩‍👩‍👧‍👦/🇩🇪.bin",
    "café/cafe\u0301",
    "with space/ leading/trailing ",
    "-rf",
    "...",
    "..a/a..",
    ".hidden/.ferry",
    "a\\b",
    "a\nb\tc\x1b[2J",
    "*?[a-z]{b,c}",
    "quote\"s'and`ticks`$(x)",
    "%2e%2e%2f",
    "con:/aux",
    "a#b&c;d|e<f>g",
  ];

  test("every good name is stored, listed, opened and removed as it is", async ({ storage }) => {
    await Promise.all(names.map(async (filename) => {
      await put(storage, filename, `content of ${filename}`);
      assertEquals(await textOf(storage, filename), `content of ${filename}`);
      assertEquals((await storage.stat(name(filename))).filename, filename);
    }));
    const shown = new Set(await listed(storage));
    await Promise.all(names.map(async (filename) => {
      assert(shown.has(filename), `not listed: ${JSON.stringify(filename)}`);
      await storage.remove(name(filename), { recursive: false });
      await assertCode("not_found", () => storage.stat(name(filename)));
    }));
  });

  if (longestName < MAX_NAME_BYTES) {
    test("a name that is too long is bad_name, and nothing is there", async ({ storage }) => {
      const tooLong = name(nameOf(longestName + 1));
      await put(storage, "f", "x");
      await assertCode("bad_name", () => storage.create(tooLong, { size: 1 }));
      await assertCode("bad_name", () => storage.mkdir(tooLong));
      await assertCode("bad_name", () => storage.move(name("f"), tooLong, { replace: true }));
      assertEquals(await storage.find(tooLong), undefined);
      await assertCode("not_found", () => storage.open(tooLong, "md5"));
      assertEquals(await listed(storage), ["f"]);
    });
  }

  test("every good name is moved and made a directory as it is", async ({ storage }) => {
    await Promise.all(names.map(async (filename, index) => {
      const plain = name(`plain-${index}`);
      await put(storage, plain, "x");
      await storage.move(plain, name(filename), { replace: false });
      assertEquals(await textOf(storage, filename), "x");
      await storage.remove(name(filename), { recursive: false });
      await storage.mkdir(name(filename));
      assertEquals((await storage.stat(name(filename))).type, "directory");
      await storage.remove(name(filename.split("/")[0]!), { recursive: true });
    }));
    assertEquals(await listed(storage), []);
  });
}
