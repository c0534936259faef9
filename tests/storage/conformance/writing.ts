/**
 * What every storage owes to who writes files: nothing is seen before the commit, and everything after it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Test } from "../conformance.ts";
import { begin, bytesOf, listed, noise, put, readAll, textOf } from "../../support/stored_files.ts";
import { md5 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";
/** Registers the tests. */
export function testWriting(test: Test): void {
  test("commit() makes a file visible, and nothing does before it", async ({ storage }) => {
    await using pending = await storage.create(name("a/b/new.txt"), { size: 10 });
    await pending.write(bytesOf("01234"));
    await pending.write(bytesOf("56789"));
    assertEquals(await listed(storage), []);
    await assertCode("not_found", () => storage.stat(name("a/b/new.txt")));
    await assertCode("not_found", () => storage.open(name("a/b/new.txt"), "md5"));
    await assertCode("not_found", () => storage.checksum(name("a/b/new.txt"), "md5"));
    await assertCode("not_found", () => storage.stat(name("a")));

    const committed = await pending.commit({ checksum: md5("0123456789"), replace: false });
    assertEquals(committed, { checksum: md5("0123456789"), size: 10, unchanged: false });
    assertEquals(await listed(storage), ["a", "a/b", "a/b/new.txt"]);
    assertEquals(await textOf(storage, "a/b/new.txt"), "0123456789");
  });

  test("commit() keeps every byte of many pieces, whose memory is used again", async ({ storage }) => {
    const content = noise(700_001, 1);
    await using pending = await storage.create(name("pieces"), { size: null });
    const buffer = new Uint8Array(300_000);
    const sizes = [1, 0, 65_536, 65_537, 300_000];
    for (let at = 0, turn = 0; at < content.length; turn++) {
      const piece = buffer.subarray(0, Math.min(sizes[turn % 5]!, content.length - at));
      piece.set(content.subarray(at, at + piece.length));
      await pending.write(piece);
      piece.fill(0xaa);
      at += piece.length;
    }
    const { size } = await pending.commit({ checksum: md5(content), replace: false });
    assertEquals(size, content.length);
    await using file = await storage.open(name("pieces"), "md5");
    assertEquals(md5(await readAll(file)), md5(content));
  });

  test("commit() keeps every byte of a file in which runs of zeros are holes", async ({ storage }) => {
    const content = new Uint8Array(700_001);
    for (const at of [70_000, 400_000]) content.set(noise(70_000, at), at);
    await using pending = await storage.create(name("sparse"), {
      size: content.length,
      sparse: true,
    });
    for (let at = 0; at < content.length; at += 99_999) {
      await pending.write(content.subarray(at, at + 99_999));
    }
    const { size } = await pending.commit({ checksum: md5(content), replace: false });
    assertEquals(size, content.length);
    await using file = await storage.open(name("sparse"), "md5");
    assertEquals(md5(await readAll(file)), md5(content));
  });

  test("commit() of an empty file", async ({ storage }) => {
    await using pending = await storage.create(name("empty"), { size: 0 });
    const committed = await pending.commit({ checksum: md5(""), replace: false });
    assertEquals(committed, { checksum: md5(""), size: 0, unchanged: false });
    const { type, size } = await storage.stat(name("empty"));
    assertEquals({ type, size }, { type: "file", size: 0 });
    assertEquals(await textOf(storage, "empty"), "");
    assertEquals(await storage.checksum(name("empty"), "md5"), md5(""));
    assertEquals((await put(storage, "empty", "")).unchanged, true);
    await assertCode("exists", () => put(storage, "empty", "x"));
  });

  test("commit() gives no name where it may not any more, and asks last", async ({ storage }) => {
    const refused = new FerryError("auth_required", "not any more");
    let asked = 0;
    const committing = put(storage, "d/f", "new", {
      replace: true,
      assertMay() {
        asked++;
        throw refused;
      },
    });
    assertEquals([await committing.catch((error) => error.code), asked], ["auth_required", 1]);
    assertEquals(await storage.find(name("d")), undefined);
    await put(storage, "d/f", "new", { assertMay: () => void asked++ });
    assertEquals([await textOf(storage, "d/f"), asked], ["new", 2]);
    const assertMay = () => {
      throw refused;
    };
    const changes = [
      () => storage.move(name("d/f"), name("e/f"), { replace: false, assertMay }),
      () => storage.mkdir(name("e/d"), { assertMay }),
    ];
    for (const change of changes) await assertCode("auth_required", change);
    assertEquals(await storage.find(name("e")), undefined);
    assertEquals(await textOf(storage, "d/f"), "new");
  });

  test("commit() without replace keeps another file and fails with exists", async ({ storage }) => {
    await put(storage, "a", "old");
    await assertCode("exists", () => put(storage, "a", "new"));
    await assertCode("exists", () => put(storage, "a", "of another length"));
    assertEquals(await textOf(storage, "a"), "old");
    assertEquals(await storage.checksum(name("a"), "md5"), md5("old"));
  });

  test("commit() without replace of an identical file is unchanged", async ({ storage }) => {
    await put(storage, "a", "same", { mtime: 1_000_000_000_000 });
    const committed = await put(storage, "a", "same", { mtime: 1_500_000_000_000 });
    assertEquals(committed, { checksum: md5("same"), size: 4, unchanged: true });
    assertEquals((await storage.stat(name("a"))).mtime, 1_000_000_000_000, "it did not stay");
  });

  test("commit() with replace takes the place of a file", async ({ storage }) => {
    await put(storage, "a", "old and long");
    const committed = await put(storage, "a", "new", { replace: true });
    assertEquals(committed, { checksum: md5("new"), size: 3, unchanged: false });
    assertEquals(await textOf(storage, "a"), "new");
    assertEquals((await storage.stat(name("a"))).size, 3);
    assertEquals(await storage.checksum(name("a"), "md5"), md5("new"));
    assertEquals(await listed(storage), ["a"]);
  });

  test("commit() makes a name that was free at create() a conflict", async ({ storage }) => {
    await using late = await begin(storage, "a", "late");
    await put(storage, "a", "early");
    await assertCode("exists", () => late.commit({ checksum: md5("late"), replace: false }));
    assertEquals(await textOf(storage, "a"), "early");
  });

  test("commit() where a directory has the name meanwhile is not_a_file", async ({ storage }) => {
    for (const replace of [false, true]) {
      const filename = `taken-${replace}`;
      await using pending = await begin(storage, filename, "x");
      await put(storage, `${filename}/child`, "child");
      await assertCode("not_a_file", () => pending.commit({ checksum: md5("x"), replace }));
      assertEquals(await textOf(storage, `${filename}/child`), "child");
    }
  });

  test("commit() where a part of the name is a file meanwhile is not_a_file", async ({ storage }) => {
    for (const replace of [false, true]) {
      await using pending = await begin(storage, `part-${replace}/below/x`, "x");
      await put(storage, `part-${replace}`, "a file");
      await assertCode("not_a_file", () => pending.commit({ checksum: md5("x"), replace }));
      assertEquals(await textOf(storage, `part-${replace}`), "a file");
    }
  });

  test("commit() keeps the modification time and the mode", async ({ storage }) => {
    for (const [mtime, mode] of [[1_234_567_890_123, 0o640], [1, 0o755], [0, 0o400]] as const) {
      const filename = `kept-${mtime}`;
      await put(storage, filename, "x", { mtime, mode });
      const entry = await storage.stat(name(filename));
      assertEquals({ mtime: entry.mtime, mode: entry.mode }, { mtime, mode });
      await using file = await storage.open(name(filename), "md5");
      assertEquals({ mtime: file.entry.mtime, mode: file.entry.mode }, { mtime, mode });
    }
    await put(storage, "kept-1", "y", { replace: true, mtime: 2000, mode: 0o600 });
    const { mtime, mode } = await storage.stat(name("kept-1"));
    assertEquals({ mtime, mode }, { mtime: 2000, mode: 0o600 });
  });

  test("commit() survives closing and opening the storage; what is pending does not", async (tested) => {
    await put(tested.storage, "a/kept", "kept", { mtime: 1_234_567_890_123 });
    const pending = await begin(tested.storage, "a/lost", "lost");
    await tested.reopen();
    assertEquals(await tested.leftovers(), []);
    assertEquals(await listed(tested.storage), ["a", "a/kept"]);
    assertEquals(await textOf(tested.storage, "a/kept"), "kept");
    assertEquals(await tested.storage.checksum(name("a/kept"), "md5"), md5("kept"));
    assertEquals((await tested.storage.stat(name("a/kept"))).mtime, 1_234_567_890_123);
    await pending[Symbol.asyncDispose]();
  });

  test("create() where a directory has the name is not_a_file", async ({ storage }) => {
    await storage.mkdir(name("d/empty"));
    await assertCode("not_a_file", () => storage.create(name("d"), { size: 1 }));
    await assertCode("not_a_file", () => storage.create(name("d/empty"), { size: null }));
  });

  test("create() of what replaces nothing finds what has the name, then or at the commit", async ({ storage }) => {
    await storage.mkdir(name("d/empty"));
    // What is known of the directory by now is not known of each name in it.
    for (const filename of ["d/one", "d/two"]) await put(storage, filename, filename);
    for (const [taken, code] of [["d/empty", "not_a_file"], ["d/one", "exists"]] as const) {
      await assertCode(code, async () => {
        await using pending = await storage.create(name(taken), { size: 3, replace: false });
        await pending.write(bytesOf("new"));
        await pending.commit({ checksum: md5("new"), replace: false });
      });
    }
    assertEquals(await listed(storage), ["d", "d/empty", "d/one", "d/two"]);
  });

  test("create() where a part of the name is a file is not_a_file", async ({ storage }) => {
    await put(storage, "a/f", "x");
    await assertCode("not_a_file", () => storage.create(name("a/f/x"), { size: 1 }));
    await assertCode("not_a_file", () => storage.create(name("a/f/b/c/x"), { size: 1 }));
    assertEquals(await listed(storage), ["a", "a/f"]);
  });

  test("PendingWrite disposal leaves nothing, and may be repeated", async (tested) => {
    const { storage } = tested;
    const untouched = await storage.create(name("x/y/untouched"), { size: 5 });
    const begun = await begin(storage, "x/y/begun", "half");
    for (const pending of [untouched, begun, untouched, begun]) {
      await pending[Symbol.asyncDispose]();
    }
    assertEquals(await listed(storage), []);
    assertEquals(await tested.leftovers(), []);
    assertEquals((await put(storage, "x/y/begun", "whole")).unchanged, false);
  });

  test("PendingWrite disposal after a commit keeps the file", async (tested) => {
    const pending = await begin(tested.storage, "a", "kept");
    await pending.commit({ checksum: md5("kept"), replace: false });
    await pending[Symbol.asyncDispose]();
    await pending[Symbol.asyncDispose]();
    assertEquals(await textOf(tested.storage, "a"), "kept");
  });

  test("PendingWrite disposal after a failed commit leaves nothing", async (tested) => {
    await put(tested.storage, "a", "old");
    const pending = await begin(tested.storage, "a", "new");
    await assertCode("exists", () => pending.commit({ checksum: md5("new"), replace: false }));
    await pending[Symbol.asyncDispose]();
    await pending[Symbol.asyncDispose]();
    assertEquals(await tested.leftovers(), []);
    assertEquals(await textOf(tested.storage, "a"), "old");
  });
}
