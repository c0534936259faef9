/**
 * What every storage owes where files and directories are removed, moved and made.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Entry } from "../../../lib/core/entry.ts";
import { type ErrorCode, FerryError } from "../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Test } from "../conformance.ts";
import { md5 } from "../../support/bytes.ts";
import { listed, put, textOf } from "../../support/stored_files.ts";
import { assertCode } from "../../support/assertions.ts";

const NOT_FOUND_OR_FILE: readonly ErrorCode[] = ["not_found", "not_a_file"];
/** Registers the tests. */
export function testChanging(test: Test): void {
  test("remove() deletes a file", async ({ storage }) => {
    for (const file of ["a", "ab", "d/a"]) await put(storage, file, file);
    await storage.remove(name("a"), { recursive: false });
    assertEquals(await listed(storage), ["ab", "d", "d/a"]);
    await storage.remove(name("ab"), { recursive: true });
    assertEquals(await listed(storage), ["d", "d/a"]);
    assertEquals((await put(storage, "a", "anew")).unchanged, false);
  });

  test("remove() of a directory needs recursive, and takes no more than it", async ({ storage }) => {
    for (const file of ["d/a", "d/s/b", "d2", "d.x/c"]) await put(storage, file, "x");
    await storage.mkdir(name("d/empty"));
    await assertCode("not_a_file", () => storage.remove(name("d"), { recursive: false }));
    await assertCode("not_a_file", () => storage.remove(name("d/empty"), { recursive: false }));
    assertEquals((await listed(storage, "d")).length, 4);
    await storage.remove(name("d"), { recursive: true });
    assertEquals(await listed(storage), ["d.x", "d.x/c", "d2"]);
  });

  test("remove() of what is not there is not_found", async ({ storage }) => {
    await put(storage, "f", "x");
    for (const recursive of [false, true]) {
      await assertCode("not_found", () => storage.remove(name("absent"), { recursive }));
      await assertCode("not_found", () => storage.remove(name("absent/x"), { recursive }));
      await assertCode(
        NOT_FOUND_OR_FILE,
        () => storage.remove(name("f/below"), { recursive }),
      );
    }
    assertEquals(await listed(storage), ["f"]);
  });

  test("move() of a file keeps its content, time, mode and digest", async ({ storage }) => {
    await put(storage, "a", "content", { mtime: 1_234_567_890_123, mode: 0o640 });
    await storage.move(name("a"), name("new/dir/b"), { replace: false });
    assertEquals(await listed(storage), ["new", "new/dir", "new/dir/b"]);
    assertEquals(await textOf(storage, "new/dir/b"), "content");
    const { mtime, mode } = await storage.stat(name("new/dir/b"));
    assertEquals({ mtime, mode }, { mtime: 1_234_567_890_123, mode: 0o640 });
    assertEquals(await storage.checksum(name("new/dir/b"), "md5"), md5("content"));
  });

  test("move() onto a file needs replace", async ({ storage }) => {
    await put(storage, "a", "from");
    await put(storage, "b", "to");
    await assertCode("exists", () => storage.move(name("a"), name("b"), { replace: false }));
    assertEquals([await textOf(storage, "a"), await textOf(storage, "b")], ["from", "to"]);
    await storage.move(name("a"), name("b"), { replace: true });
    assertEquals(await listed(storage), ["b"]);
    assertEquals(await textOf(storage, "b"), "from");
    assertEquals(await storage.checksum(name("b"), "md5"), md5("from"));
  });

  test("move() with keep gives a file a second name, and takes the first one away never", async ({ storage }) => {
    await put(storage, "a", "old", { mtime: 1_234_567_890_123 });
    const keep = { replace: false, keep: true };
    await storage.move(name("a"), name("backup/a"), keep);
    // A request whose reply was lost is made again.
    await storage.move(name("a"), name("backup/a"), keep);
    assertEquals(await listed(storage), ["a", "backup", "backup/a"]);
    await put(storage, "a", "new", { replace: true });
    assertEquals([await textOf(storage, "a"), await textOf(storage, "backup/a")], ["new", "old"]);
    assertEquals((await storage.stat(name("backup/a"))).mtime, 1_234_567_890_123);
    for (const replace of [false, true]) {
      const options = { ...keep, replace };
      await assertCode("exists", () => storage.move(name("a"), name("backup/a"), options));
      await assertCode("exists", () => storage.move(name("a"), name("backup"), options));
    }
    assertEquals([await textOf(storage, "a"), await textOf(storage, "backup/a")], ["new", "old"]);
    await assertCode("not_a_file", () => storage.move(name("backup"), name("b"), keep));
    await assertCode("not_found", () => storage.move(name("absent"), name("b"), keep));
    await storage.remove(name("backup/a"), { recursive: false });
    assertEquals(await textOf(storage, "a"), "new");
  });

  test("move() of a file never takes a directory's place", async ({ storage }) => {
    await put(storage, "a", "x");
    await storage.mkdir(name("empty"));
    await put(storage, "full/f", "x");
    for (const replace of [false, true]) {
      for (const to of ["empty", "full"].map(name)) {
        await assertCode(["exists", "not_a_file"], () => storage.move(name("a"), to, { replace }));
      }
    }
    assertEquals(await listed(storage), ["a", "empty", "full", "full/f"]);
  });

  test("move() of a directory takes along what is in it", async ({ storage }) => {
    await put(storage, "d/s/f", "content");
    await put(storage, "d2", "beside");
    await storage.mkdir(name("d/empty"));
    await storage.move(name("d"), name("d3"), { replace: false });
    assertEquals(await listed(storage), ["d2", "d3", "d3/empty", "d3/s", "d3/s/f"]);
    await storage.move(name("d3"), name("up/d"), { replace: true });
    assertEquals(await listed(storage), ["d2", "up", "up/d", "up/d/empty", "up/d/s", "up/d/s/f"]);
    assertEquals(await textOf(storage, "up/d/s/f"), "content");
    assertEquals(await storage.checksum(name("up/d/s/f"), "md5"), md5("content"));
  });

  test("move() of a directory never takes a place", async ({ storage }) => {
    await put(storage, "d/f", "x");
    await put(storage, "file", "x");
    await storage.mkdir(name("empty"));
    for (const replace of [false, true]) {
      for (const to of ["file", "empty"].map(name)) {
        await assertCode("exists", () => storage.move(name("d"), to, { replace }));
      }
    }
    assertEquals(await listed(storage), ["d", "d/f", "empty", "file"]);
  });

  test("move() of a directory into itself is bad_name", async ({ storage }) => {
    await put(storage, "d/f", "x");
    for (const to of ["d/e", "d/e/f/g"].map(name)) {
      await assertCode("bad_name", () => storage.move(name("d"), to, { replace: false }));
    }
    assertEquals(await listed(storage), ["d", "d/f"]);
    await storage.move(name("d"), name("de"), { replace: false });
    assertEquals(await listed(storage), ["de", "de/f"]);
  });

  test("move() of what is not there is not_found and makes nothing", async ({ storage }) => {
    await put(storage, "there", "x");
    for (const replace of [false, true]) {
      for (const to of ["x/y/z", "there"].map(name)) {
        await assertCode("not_found", () => storage.move(name("absent"), to, { replace }));
        await assertCode("not_found", () => storage.move(name("absent/a"), to, { replace }));
      }
    }
    assertEquals(await listed(storage), ["there"]);
  });

  test("move() below a file is not_a_file", async ({ storage }) => {
    await put(storage, "a", "a");
    await put(storage, "f", "f");
    for (const to of ["f/x", "f/x/y"].map(name)) {
      await assertCode("not_a_file", () => storage.move(name("a"), to, { replace: true }));
    }
    assertEquals(await listed(storage), ["a", "f"]);
  });

  test("move() onto itself loses nothing", async ({ storage }) => {
    await put(storage, "d/a", "content");
    await storage.move(name("d/a"), name("d/a"), { replace: true });
    assertEquals(await textOf(storage, "d/a"), "content");
  });

  test("mkdir() makes a directory and those above it, and may be repeated", async ({ storage }) => {
    for (let turn = 0; turn < 2; turn++) {
      await storage.mkdir(name("a/b/c"));
      await storage.mkdir(name("a/b"));
      assertEquals(await listed(storage), ["a", "a/b", "a/b/c"]);
      assertEquals((await storage.stat(name("a/b"))).type, "directory");
    }
    await put(storage, "a/b/f", "x");
    await storage.mkdir(name("a/b"));
    assertEquals(await textOf(storage, "a/b/f"), "x");
  });

  test("mkdir() where a file has the name is exists, below it not_a_file", async ({ storage }) => {
    await put(storage, "d/f", "x");
    await assertCode("exists", () => storage.mkdir(name("d/f")));
    await assertCode("not_a_file", () => storage.mkdir(name("d/f/below")));
    await assertCode("not_a_file", () => storage.mkdir(name("d/f/below/more")));
    assertEquals(await textOf(storage, "d/f"), "x");
  });

  test("a condition sees what a commit replaces, and can refuse it", async ({ storage }) => {
    const replaced: (Entry | undefined)[] = [];
    const condition = (there: Entry | undefined) => void replaced.push(there);
    await put(storage, "d/f", "old", { replace: true, condition });
    await put(storage, "d/f", "new", { replace: true, condition });
    assertEquals(replaced.map((there) => there?.checksum), [undefined, md5("old")]);
    const refuse = () => {
      throw new FerryError("exists", "it is not wanted");
    };
    const refused = { replace: true, condition: refuse };
    await assertCode("exists", () => put(storage, "d/f", "other", refused));
    await assertCode(
      "exists",
      () => storage.remove(name("d/f"), { recursive: false, condition: refuse }),
    );
    assertEquals(await textOf(storage, "d/f"), "new");
    await storage.remove(name("d/f"), { recursive: false, condition });
    assertEquals(replaced.at(-1)?.checksum, md5("new"));
    assertEquals(await listed(storage), ["d"]);
  });

  test("of several commits that replace the same file on a condition, one succeeds", async ({ storage }) => {
    await put(storage, "f", "old");
    const condition = (there: Entry | undefined) => {
      if (there?.checksum !== md5("old")) throw new FerryError("exists", "it was replaced");
    };
    const contents = Array.from({ length: 4 }, (_, at) => `new ${at}`);
    const outcomes = await Promise.allSettled(
      contents.map((content) => put(storage, "f", content, { replace: true, condition })),
    );
    const successes = outcomes.flatMap(({ status }, at) => status === "fulfilled" ? [at] : []);
    assertEquals(successes.length, 1);
    assertEquals(await textOf(storage, "f"), contents[successes[0]!]);
  });
}
