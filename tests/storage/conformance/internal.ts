/**
 * What every storage that keeps records of the server itself keeps of them, and who sees them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import type { Test } from "../conformance.ts";
import { listed, put, textOf } from "../../support/stored_files.ts";

/** Registers the tests. */
export function testInternal(test: Test): void {
  test("records are kept when it is opened again, and are the same from everywhere", async (tested) => {
    const records = await recordsOf(tested.storage);
    assert(await recordsOf(tested.storage) === records, "it is another one");
    await put(records, "key/a", "secret");
    await put(tested.storage, "key/a", "a file of a client");
    await tested.reopen();
    const again = await recordsOf(tested.storage);
    assertEquals(await textOf(again, "key/a"), "secret");
    assertEquals(await listed(again), ["key", "key/a"]);
    await again.remove(name("key"), { recursive: true });
    assertEquals(await listed(again), []);
    assertEquals(await textOf(tested.storage, "key/a"), "a file of a client");
  });

  test("no list shows records", async ({ storage }) => {
    const records = await recordsOf(storage);
    await put(records, "key/a", "secret");
    await put(storage, "f", "x");
    assertEquals(await listed(storage), ["f"]);
    assertEquals(await listed(storage, "", { recursive: false }), ["f"]);
    const [shown] = await Array.fromAsync(storage.list("", { recursive: false, omitted: true }));
    assertEquals(shown!.filename, "f");
    await records.remove(name("key"), { recursive: true });
  });

  test("of records that are created at the same time one is kept", async ({ storage }) => {
    const records = await recordsOf(storage);
    const contents = ["one", "two", "three", "four"];
    const outcomes = await Promise.allSettled(
      contents.map((content) => put(records, "claims/1", content)),
    );
    const kept = contents.filter((_, at) => outcomes[at]!.status === "fulfilled");
    assertEquals(kept, [await textOf(records, "claims/1")]);
    await records.remove(name("claims"), { recursive: true });
  });
}

async function recordsOf(storage: Storage): Promise<Storage> {
  const records = await storage.internal?.();
  assert(records, "it keeps no records");
  return records;
}
