/**
 * What a storage owes that publishes directories as one.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { StagedTree } from "../../../server/storage/staged_trees.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import type { Test } from "../conformance.ts";
import { md5 } from "../../support/bytes.ts";
import {
  bytesOf,
  listed,
  noise,
  prefixOf,
  put,
  readAll,
  textOf,
} from "../../support/stored_files.ts";
import { assertCode } from "../../support/assertions.ts";

const OWNER = { owner: "somebody" };

const begin = (storage: Storage, directory: string): Promise<StagedTree> =>
  storage.stagedTrees!.begin(name(directory), OWNER);

/** Puts a file into a staged tree, as a client does. */
async function stage(tree: StagedTree, filename: string, text: string, mtime = 1e12) {
  await using write = await tree.create(name(filename), { size: text.length });
  if (text !== "") await write.write(bytesOf(text));
  return await write.commit({ checksum: md5(text), replace: true, mtime });
}

/** Registers the tests. */
export function testStagedTrees(test: Test): void {
  test("publish() gives a directory its name with all that is in it", async ({ storage }) => {
    await using tree = await begin(storage, "p/d");
    assertEquals([tree.name, tree.owner, tree.resumed], [name("p/d"), "somebody", false]);
    assertEquals((await stage(tree, "p/d/a", "one", 1_234_567_890_123)).size, 3);
    await stage(tree, "p/d/s/b", "");
    await tree.mkdir(name("p/d/empty/deep"));
    assertEquals(await listed(storage), [], "something is seen before");
    assertEquals(await storage.find(name("p/d/a")), undefined);
    const published = await tree.publish({ replace: false });
    assertEquals(published, { files: 2, bytes: 3, replaced: false });
    const names = ["p", "p/d", "p/d/a", "p/d/empty", "p/d/empty/deep", "p/d/s", "p/d/s/b"];
    assertEquals(await listed(storage), names);
    assertEquals((await storage.stat(name("p/d/a"))).mtime, 1_234_567_890_123);
    const { id } = tree;
    assertEquals(storage.stagedTrees!.published(id, name("p/d"), OWNER), published);
    assertEquals(storage.stagedTrees!.published(id, name("p/d"), { owner: "" }), undefined);
    await assertCode("busy", () => stage(tree, "p/d/late", "x"));
  });

  test("publish() over a directory needs replace, and leaves nothing of it", async ({ storage }) => {
    for (const file of ["d/a", "d/s/b", "d2"]) await put(storage, file, "old");
    await using tree = await begin(storage, "d");
    await stage(tree, "d/a", "new");
    await assertCode("exists", () => tree.publish({ replace: false }));
    assertEquals(await textOf(storage, "d/a"), "old");
    await using reading = await storage.open(name("d/s/b"), "md5");
    assertEquals((await tree.publish({ replace: true })).replaced, true);
    assertEquals(await listed(storage), ["d", "d/a", "d2"]);
    assertEquals(await textOf(storage, "d/a"), "new");
    assertEquals(await readAll(reading), bytesOf("old"), "a reader is interrupted");
  });

  test("publish() asks assertMay, and changes nothing where that fails", async ({ storage }) => {
    await put(storage, "d/a", "old");
    await using tree = await begin(storage, "d");
    await stage(tree, "d/a", "new");
    const assertMay = () => {
      throw new Deno.errors.NotCapable("no");
    };
    await assertCode("denied", () => tree.publish({ replace: true, assertMay }));
    assertEquals(await textOf(storage, "d/a"), "old");
    await tree.publish({ replace: true });
  });

  test("publish() waits for no file that is being written, and replaces no file", async (tested) => {
    const { storage } = tested;
    await put(storage, "f", "x");
    await assertCode("exists", () => begin(storage, "f"));
    await assertCode("not_a_file", () => begin(storage, "f/below"));
    await using tree = await begin(storage, "d");
    {
      await using write = await tree.create(name("d/a"), { size: 1 });
      await write.write(bytesOf("x"));
      await assertCode("busy", () => tree.publish({ replace: true }));
    }
    await put(storage, "d", "a file, meanwhile");
    await assertCode("exists", () => tree.publish({ replace: true }));
    await storage.remove(name("d"), { recursive: false });
    await tree.publish({ replace: true });
    assertEquals(await listed(storage), ["d", "f"], "what was not committed is there");
  });

  test("carryOver() takes files that are the same from what is replaced", async ({ storage }) => {
    await put(storage, "d/same", "same", { mtime: 1e12, mode: 0o640 });
    await put(storage, "d/other", "other");
    await using tree = await begin(storage, "d");
    const seen = await storage.stat(name("d/same"));
    assert(await tree.carryOver(name("d/same"), seen));
    assertEquals(await tree.carryOver(name("d/other"), { ...seen, filename: "d/other" }), false);
    assertEquals(await tree.carryOver(name("d/absent"), seen), false);
    assertEquals((await tree.publish({ replace: true })).files, 1);
    assertEquals(await listed(storage), ["d", "d/same"]);
    const { mtime, mode } = await storage.stat(name("d/same"));
    assertEquals({ mtime, mode }, { mtime: 1e12, mode: 0o640 });
    assertEquals(await textOf(storage, "d/same"), "same");
  });

  test("begin() goes on with what was left, of which only what is confirmed stays", async (tested) => {
    {
      await using tree = await begin(tested.storage, "d");
      for (const file of ["d/a", "d/b", "d/s/c", "d/t"]) await stage(tree, file, file);
      await tree.mkdir(name("d/e"));
    }
    for (const reopens of [false, true]) {
      if (reopens) await tested.reopen();
      await using tree = await begin(tested.storage, "d");
      assert(tree.resumed);
      const entry = await tree.find(name("d/a"));
      assertEquals([entry?.size, entry?.mtime, entry?.type], [3, 1e12, "file"]);
      assertEquals(await tree.checksum(name("d/a"), "md5"), md5("d/a"));
    }
    const { storage } = tested;
    await using tree = await begin(storage, "d");
    tree.confirm(name("d/s/c"));
    await stage(tree, "d/b", "new");
    // A directory takes the place of a file, and a file that of a directory.
    await stage(tree, "d/t/below", "x");
    await stage(tree, "d/e", "a file");
    await tree.publish({ replace: false });
    const names = ["d", "d/b", "d/e", "d/s", "d/s/c", "d/t", "d/t/below"];
    assertEquals(await listed(storage), names);
    assertEquals(await textOf(storage, "d/b"), "new");
  });

  test("a tree belongs to its owner, and to one client at a time", async ({ storage }) => {
    const trees = storage.stagedTrees!;
    await using mine = await begin(storage, "d");
    await stage(mine, "d/a", "mine");
    assertEquals(await trees.join(mine.id, { owner: "else" }), undefined);
    assertEquals(await trees.join("absent", OWNER), undefined);
    {
      await using again = (await trees.join(mine.id, OWNER))!;
      await stage(again, "d/b", "mine");
      // Another publication of the same name has a tree of its own.
      await using other = await begin(storage, "d");
      assertEquals(other.resumed, false);
      await stage(other, "d/a", "other");
      assertEquals((await other.publish({ replace: false })).replaced, false);
    }
    await assertCode("exists", () => mine.publish({ replace: false }));
    assertEquals(await mine.publish({ replace: true }), { files: 2, bytes: 8, replaced: true });
    assertEquals(await listed(storage), ["d", "d/a", "d/b"]);
  });

  test("a large file of a tree can be kept and resumed", async ({ storage }) => {
    const bytes = noise(300_000, 3);
    const size = bytes.length;
    await using tree = await begin(storage, "d");
    await assertCode("bad_name", () => tree.create(name("elsewhere"), { size: 1 }));
    {
      await using write = await tree.partialUploads!.create(name("d/s/large"), { size, ...OWNER });
      const prefix = await prefixOf(bytes.subarray(0, 128_000));
      await write.write(bytes.subarray(0, 128_000));
      await write.checkpoint(prefix);
      write.keep();
    }
    const [partial] = await tree.partialUploads!.find(name("d/s/large"), { size, ...OWNER });
    {
      const options = { algorithm: "md5", ...OWNER } as const;
      await using write = (await tree.partialUploads!.resume(partial!.id, options))!;
      assertEquals(write.prefix?.size, 128_000);
      await write.write(bytes.subarray(128_000));
      await write.commit({ checksum: md5(bytes), replace: true });
    }
    assertEquals(await storage.find(name("d/s/large")), undefined);
    await tree.publish({ replace: false });
    await using file = await storage.open(name("d/s/large"), "md5");
    assertEquals(await readAll(file), bytes);
  });

  test("expire() removes the trees that nobody works on", async ({ storage }) => {
    {
      await using tree = await begin(storage, "d");
      await stage(tree, "d/a", "x");
      await storage.stagedTrees!.expire(0);
      await stage(tree, "d/b", "x");
    }
    await storage.stagedTrees!.expire(60_000);
    {
      await using tree = await begin(storage, "d");
      assert(tree.resumed);
    }
    await storage.stagedTrees!.expire(0);
    await using tree = await begin(storage, "d");
    assertEquals(tree.resumed, false);
  });
}
