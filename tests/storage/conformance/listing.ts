/**
 * What every storage lists, and in which order.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type ErrorCode } from "../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Abilities, Test } from "../conformance.ts";
import { md5 } from "../../support/bytes.ts";
import { begin, listed, put } from "../../support/stored_files.ts";
import { assertCode } from "../../support/assertions.ts";

const NOT_FOUND_OR_FILE: readonly ErrorCode[] = ["not_found", "not_a_file"];

/** Registers the tests. */
export function testListing(test: Test, { listsAttributes }: Abilities): void {
  test("list() of an empty storage is empty", async ({ storage }) => {
    assertEquals(await listed(storage), []);
    assertEquals(await listed(storage, "", { recursive: false }), []);
  });

  test("list() gives each directory before its content, names by UTF-8 bytes", async ({ storage }) => {
    const files = [
      "a-b",
      "a/z",
      "a/b/x",
      "Z",
      "a/B",
      "\uff5e",
      "😀",
      "中文",
      "ä",
      "10",
      "9",
      "a.c",
    ];
    for (const file of files) await put(storage, file, file);
    await storage.mkdir(name("e"));
    assertEquals(await listed(storage), [
      "10",
      "9",
      "Z",
      "a",
      "a/B",
      "a/b",
      "a/b/x",
      "a/z",
      "a-b",
      "a.c",
      "e",
      "ä",
      "中文",
      "\uff5e",
      "😀",
    ]);
  });

  test("list() descends only where it is told to", async ({ storage }) => {
    for (const file of ["d/s/deep", "d/f", "other"]) await put(storage, file, "x");
    assertEquals(await listed(storage, "", { recursive: false }), ["d", "other"]);
    assertEquals(await listed(storage, "d", { recursive: false }), ["d/f", "d/s"]);
    assertEquals(await listed(storage, "d"), ["d/f", "d/s", "d/s/deep"]);
    assertEquals(await listed(storage, "d/s"), ["d/s/deep"]);
  });

  test("list() tells the same of each entry as stat()", async ({ storage }) => {
    await put(storage, "d/f", "12345", { mtime: 1_234_567_890_123, mode: 0o640 });
    await put(storage, "g", "", { mtime: 5000 });
    let count = 0;
    for await (const entry of storage.list("", { recursive: true })) {
      const expected = await storage.stat(name(entry.filename));
      assert(!("omitted" in entry), `left out: ${entry.filename}`);
      const { mtime, mode } = listsAttributes ? expected : entry;
      assertEquals(entry, { ...expected, mtime, mode });
      count++;
    }
    assertEquals(count, 3);
  });

  test("list() does not show what is being written", async ({ storage }) => {
    await put(storage, "d/old", "old");
    await using next = await begin(storage, "d/next", "next");
    await using again = await begin(storage, "d/old", "again");
    await using deeper = await begin(storage, "d/e/f", "deeper");
    assertEquals(await listed(storage), ["d", "d/old"]);
    await deeper.commit({ checksum: md5("deeper"), replace: false });
    assertEquals(await listed(storage), ["d", "d/e", "d/e/f", "d/old"]);
    void [next, again];
  });

  test("list() of what is not there is not_found, of a file not_a_file", async ({ storage }) => {
    await put(storage, "f", "x");
    for (const recursive of [false, true]) {
      await assertCode("not_found", () => listed(storage, "absent", { recursive }));
      await assertCode("not_a_file", () => listed(storage, "f", { recursive }));
      await assertCode(NOT_FOUND_OR_FILE, () => listed(storage, "f/below", { recursive }));
    }
  });

  test("list() leaves out what disappears meanwhile", async ({ storage }) => {
    for (const file of ["a", "b/1", "b/2", "c"]) await put(storage, file, "x");
    const names: string[] = [];
    for await (const { filename } of storage.list("", { recursive: true })) {
      if (names.length === 0) {
        await storage.remove(name("b"), { recursive: true });
        await storage.remove(name("c"), { recursive: false });
      }
      names.push(filename);
    }
    assertEquals(names[0], "a");
    assert(names.every((shown, at) => names.indexOf(shown) === at), `twice: ${names}`);
    assertEquals(await listed(storage), ["a"]);
  });

  test("list() may be left early", async ({ storage }) => {
    for (const file of ["a", "b/1", "c"]) await put(storage, file, "x");
    for await (const { filename } of storage.list("", { recursive: true })) {
      if (filename === "b") break;
    }
    assertEquals((await listed(storage)).length, 4);
  });

  test("list() tells all of a large directory in order", async ({ storage }) => {
    const many = Array.from({ length: 200 }, (_, i) => `d/${String(i).padStart(3, "0")}`);
    for (let at = 0; at < many.length; at += 20) {
      await Promise.all(many.slice(at, at + 20).map((path) => put(storage, path, "x")));
    }
    await storage.mkdir(name("d/100a"));
    await put(storage, "d/100a/in", "x");
    const expected = ["d", ...many.slice(0, 101), "d/100a", "d/100a/in", ...many.slice(101)];
    assertEquals(await listed(storage), expected);
  });
}
