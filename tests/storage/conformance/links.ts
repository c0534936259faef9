/**
 * What a storage owes to who makes symbolic links, if it keeps any.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import { assertCode } from "../../support/assertions.ts";
import { put, textOf } from "../../support/stored_files.ts";
import type { Test } from "../conformance.ts";

/** Makes a link that replaces nothing, unless `replace` is true. */
function link(storage: Storage, filename: string, target: string, replace = false) {
  return storage.links!.create(name(filename), target, { replace });
}

/** The links in a list, with what they say, and the names of all else. */
async function linksIn(storage: Storage, directory = ""): Promise<string[]> {
  const options = { recursive: true, omitted: true, links: true };
  const listed = await Array.fromAsync(storage.list(directory && name(directory), options));
  return listed.map((one) => {
    const said = one.type === undefined ? one.link?.target : undefined;
    return said === undefined ? one.filename : `${one.filename} -> ${said}`;
  });
}

/** Registers the tests. */
export function testLinks(test: Test): void {
  test("links are listed as such where that is asked for, and found", async ({ storage }) => {
    await put(storage, "d/file", "content");
    const mtime = 1_000_000_000_123;
    await storage.links!.create(name("d/link"), "file", { replace: false, mtime });
    await link(storage, "new/dir/up", "../../d");
    await link(storage, "dangling", "d/later");
    assertEquals(await linksIn(storage), [
      "d",
      "d/file",
      "d/link -> file",
      "dangling -> d/later",
      "new",
      "new/dir",
      "new/dir/up -> ../../d",
    ]);
    assertEquals(await storage.links!.find(name("d/link")), {
      type: "link",
      mtime,
      target: "file",
    });
    assertEquals((await storage.links!.find(name("d/file")))?.type, "other");
    assertEquals((await storage.links!.find(name("d")))?.type, "directory");
    assertEquals(await storage.links!.find(name("d/none")), undefined);
    assertEquals(await storage.links!.find(name("none/none")), undefined);
    assertEquals(await textOf(storage, "new/dir/up/link"), "content");
  });

  test("a link replaces files and links where it may, and never a directory", async ({ storage }) => {
    await put(storage, "file", "content");
    await put(storage, "d/other", "other");
    await link(storage, "old", "nowhere");
    for (const taken of ["file", "old", "d"]) {
      const code = taken === "d" ? "not_a_file" : "exists";
      await assertCode(code, () => link(storage, taken, "d/other"));
    }
    await assertCode("not_a_file", () => link(storage, "d", "file", true));
    await assertCode("not_a_file", () => link(storage, "file/below", "x", true));
    await link(storage, "file", "d/other", true);
    await link(storage, "old", "file", true);
    assertEquals(await textOf(storage, "old"), "other");
    await put(storage, "old", "a file again", { replace: true });
    assertEquals(await textOf(storage, "old"), "a file again");
    assertEquals(await textOf(storage, "d/other"), "other");
  });

  test("links that lead out are refused, and nothing is made for them", async ({ storage }) => {
    await put(storage, "d/file", "content");
    await link(storage, "d/top", "..");
    const out: [filename: string, target: string][] = [
      ["l", ".."],
      ["l", "../d"],
      ["d/l", "../../d/file"],
      ["l", "/d/file"],
      ["l", ""],
      ["l", "d/../d/file"],
      ["l", ".ferry/index.db"],
      ["d/new/l", "../../../x"],
      // By the text it stays; in fact the directory is the root.
      ["d/top/l", "../d"],
    ];
    for (const [filename, target] of out) {
      await assertCode("denied", () => link(storage, filename, target, true));
      await assertCode("denied", () => storage.links!.assertKept(name(filename), target));
    }
    assertEquals(await linksIn(storage), ["d", "d/file", "d/top -> .."]);
    await storage.links!.assertKept(name("d/l"), "../d/file");
    assertEquals(await storage.links!.find(name("d/l")), undefined);
  });

  test("nothing is made when the client may not any more", async ({ storage }) => {
    const assertMay = () => {
      throw new Error("not any more");
    };
    const made = storage.links!.create(name("a/link"), "b", { replace: true, assertMay });
    await made.then(() => assertEquals(true, false), () => {});
    assertEquals(await linksIn(storage), []);
  });

  test("circles and links to links are kept", async ({ storage }) => {
    await put(storage, "file", "content");
    await link(storage, "a", "b");
    await link(storage, "b", "file");
    assertEquals(await textOf(storage, "a"), "content");
    await link(storage, "b", "a", true);
    assertEquals(await linksIn(storage), ["a -> b", "b -> a", "file"]);
    await link(storage, "self", "self");
    await link(storage, "self", "self", true);
  });
}
