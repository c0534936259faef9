/**
 * What a storage owes to its callers that finds files by their content.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type FileName, parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import type { Test } from "../conformance.ts";
import { md5 } from "../../support/bytes.ts";
import { put } from "../../support/stored_files.ts";

/** The name of a file with that content, or of any with that size. */
async function found(
  storage: Storage,
  content: string,
  { below = [""], bySize = false }: { below?: (FileName | "")[]; bySize?: boolean } = {},
): Promise<string | undefined> {
  const wanted = { size: content.length, checksum: bySize ? null : md5(content) };
  const [one] = await storage.findContents!([wanted], below);
  if (one) {
    const { version } = await openOnce(storage, one.name);
    assertEquals(one.version, version, "it is the version of another content");
  }
  return one?.name;
}

async function openOnce(
  storage: Storage,
  name: FileName,
): Promise<{ version: string | undefined }> {
  await using file = await storage.open(name, "md5");
  return { version: file.version };
}

/** Registers the tests. */
export function testContents(test: Test): void {
  test("findContents() finds a file by its content", async (tested) => {
    const { storage } = tested;
    await put(storage, "d/one", "content");
    await put(storage, "two", "other");
    const check = async (storage: Storage) => {
      assertEquals(await found(storage, "content"), "d/one");
      assertEquals(await found(storage, "other"), "two");
      assertEquals(await found(storage, "CONTENT"), undefined);
      assertEquals(await found(storage, "CONTENT", { bySize: true }), "d/one");
      assertEquals(await found(storage, "of another size", { bySize: true }), undefined);
      const both = [{ size: 5, checksum: md5("other") }, { size: 9, checksum: null }];
      assertEquals((await storage.findContents!(both, [""])).map((each) => each?.name), [
        "two",
        undefined,
      ]);
    };
    await check(storage);
    await tested.reopen();
    await check(tested.storage);
  });

  test("findContents() finds nothing outside of the directories that it is to look in", async ({ storage }) => {
    for (const at of ["a/x", "ab/x", "b/d/x"]) await put(storage, at, "content");
    const below = (...names: string[]) => ({ below: names.map(name) });
    for (const bySize of [false, true]) {
      const look = (...names: string[]) =>
        found(storage, "content", { ...below(...names), bySize });
      assertEquals(await look("a"), "a/x");
      assertEquals(await look("b"), "b/d/x");
      assertEquals(await look("c", "ab"), "ab/x");
      assertEquals(await look("b/d/x"), undefined);
      assertEquals(await look("c"), undefined);
      assertEquals(await look(), undefined);
    }
  });

  test("findContents() does not find what is gone or was replaced", async ({ storage }) => {
    for (const at of ["removed", "moved", "replaced", "longer"]) await put(storage, at, "content");
    await storage.remove(name("removed"), { recursive: false });
    await storage.remove(name("moved"), { recursive: false });
    await storage.mkdir(name("moved"));
    await put(storage, "longer", "content and more", { replace: true });
    await put(storage, "replaced", "CONTENT", { replace: true });
    const at = await found(storage, "content");
    // Of a file that has just been replaced, the index may not know better yet: its content is verified when it is used.
    assert(at === undefined || at === "replaced", `it is found at ${at}`);
    assertEquals(await found(storage, "CONTENT"), "replaced");
  });
}
