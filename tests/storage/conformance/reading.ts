/**
 * What every storage tells of files and gives of them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type ErrorCode, FerryError } from "../../../lib/core/errors.ts";
import { parseDirectoryName, parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import type { StoredFile } from "../../../server/storage/storage.ts";
import type { Abilities, Test } from "../conformance.ts";
import { md5, sha256 } from "../../support/bytes.ts";
import { noise, put, readAll } from "../../support/stored_files.ts";
import { assertCode } from "../../support/assertions.ts";

const NOT_FOUND_OR_FILE: readonly ErrorCode[] = ["not_found", "not_a_file"];

/** How a read may fail where the file that was opened is gone. */
const READ_ON: readonly ErrorCode[] = ["busy", "io"];

/** Registers the tests. */
export function testReading(test: Test, { keepsOpenFiles }: Abilities): void {
  /** Reads a file whose name is not its own any more; undefined where the storage cannot, and need not. */
  const readOn = async (file: StoredFile): Promise<Uint8Array | undefined> => {
    if (keepsOpenFiles) return await readAll(file);
    try {
      return await readAll(file);
    } catch (error) {
      assert(error instanceof FerryError && READ_ON.includes(error.code), String(error));
      return undefined;
    }
  };

  test("stat() tells what stands under a name", async ({ storage }) => {
    await put(storage, "d/f", "12345", { mtime: 1_234_567_890_123, mode: 0o640 });
    const file = await storage.stat(name("d/f"));
    assert(
      file.checksum === null || file.checksum === md5("12345"),
      `it is not the md5: ${file.checksum}`,
    );
    assertEquals({ ...file, checksum: null }, {
      filename: "d/f",
      type: "file",
      size: 5,
      mtime: 1_234_567_890_123,
      mode: 0o640,
      checksum: null,
    });
    for (const directory of ["d", ""] as const) {
      const { filename, type, size, checksum } = await storage.stat(parseDirectoryName(directory));
      assertEquals({ filename, type, size, checksum }, {
        filename: directory,
        type: "directory",
        size: 0,
        checksum: null,
      });
    }
  });

  test("stat(), open(), digest() of what is not there are not_found", async ({ storage }) => {
    await put(storage, "there", "x");
    for (const absent of ["absent", "absent/below", "ther", "there2"].map(name)) {
      await assertCode("not_found", () => storage.stat(absent));
      await assertCode("not_found", () => storage.open(absent, "md5"));
      await assertCode("not_found", () => storage.checksum(absent, "md5"));
    }
    const below = name("there/below");
    await assertCode(NOT_FOUND_OR_FILE, () => storage.stat(below));
    await assertCode(NOT_FOUND_OR_FILE, () => storage.open(below, "md5"));
    await assertCode(NOT_FOUND_OR_FILE, () => storage.checksum(below, "md5"));
  });

  test("open(), digest() of a directory are not_a_file", async ({ storage }) => {
    await put(storage, "d/f", "x");
    await assertCode("not_a_file", () => storage.open(name("d"), "md5"));
    await assertCode("not_a_file", () => storage.checksum(name("d"), "md5"));
  });

  test("StoredFile.known(), find() tell no other checksum than the right one", async ({ storage }) => {
    await put(storage, "f", "12345");
    const sums = { md5: md5("12345"), sha256: `sha256:${sha256("12345")}` } as const;
    const told = async (algorithm: keyof typeof sums) => {
      await using file = await storage.open(name("f"), "md5");
      assertEquals(await file.find("md5"), file.entry.checksum);
      return [file.known(algorithm), await file.find(algorithm)];
    };
    for (const algorithm of ["md5", "sha256"] as const) {
      const right = sums[algorithm];
      assertEquals(await storage.checksum(name("f"), algorithm), right);
      for (const sum of await told(algorithm)) assert(sum === null || sum === right, `${sum}`);
    }
    await put(storage, "f", "other", { replace: true });
    for (const sum of await told("sha256")) {
      assert(sum === null || sum === `sha256:${sha256("other")}`, `${sum}`);
    }
  });

  test("StoredFile.expected() tells what was uploaded last", async ({ storage }) => {
    await put(storage, "f", "12345");
    await put(storage, "f", "other", { replace: true });
    await using file = await storage.open(name("f"), "md5");
    assertEquals(await file.expected(), md5("other"));
  });

  test("StoredFile.read() gives each byte once, then null for good", async ({ storage }) => {
    const content = noise(1000, 7);
    await put(storage, "a", content);
    for (const pieceSize of [1, 7, 1000, 1001]) {
      await using file = await storage.open(name("a"), "md5");
      assertEquals(file.entry.size, 1000);
      assertEquals(await readAll(file, pieceSize), content);
      assertEquals(await file.read(new Uint8Array(1)), null);
    }
  });

  test("StoredFile stays the same file when its name is replaced", async ({ storage }) => {
    const old = noise(200_000, 1);
    await put(storage, "a", old);
    await using file = await storage.open(name("a"), "md5");
    const start = new Uint8Array(1000);
    const count = await file.read(start);
    await put(storage, "a", noise(200_000, 2), { replace: true });
    const rest = await readOn(file);
    if (rest !== undefined) {
      assertEquals(md5(new Uint8Array([...start.subarray(0, count!), ...rest])), md5(old));
      await file.assertUnchanged?.(md5(old));
    }
    assertEquals(file.entry.size, old.length);
  });

  test("StoredFile stays the same file when its name is removed or moved", async ({ storage }) => {
    await put(storage, "removed", "old r");
    await put(storage, "moved", "old m");
    await using removed = await storage.open(name("removed"), "md5");
    await using moved = await storage.open(name("moved"), "md5");
    await storage.remove(name("removed"), { recursive: false });
    await storage.move(name("moved"), name("elsewhere"), { replace: false });
    for (const [file, content] of [[removed, "old r"], [moved, "old m"]] as const) {
      const bytes = await readOn(file);
      if (bytes === undefined) continue;
      assertEquals(new TextDecoder().decode(bytes), content);
      await file.assertUnchanged?.(md5(content));
    }
  });

  test("StoredFile.remember() tells the md5 to who asks next", async ({ storage }) => {
    await put(storage, "a", "content");
    await using file = await storage.open(name("a"), "md5");
    await file.remember(md5(await readAll(file)));
    const { checksum: known } = await storage.stat(name("a"));
    assert(known === null || known === md5("content"), `it is not the md5: ${known}`);
    assertEquals(await storage.checksum(name("a"), "md5"), md5("content"));
  });

  test("StoredFile.remember() says nothing about a file that took its name", async ({ storage }) => {
    await put(storage, "a", "old");
    await using file = await storage.open(name("a"), "md5");
    await put(storage, "a", "new", { replace: true });
    await file.remember(md5("old"));
    assert((await storage.stat(name("a"))).checksum !== md5("old"), "the old md5 for the new file");
    assertEquals(await storage.checksum(name("a"), "md5"), md5("new"));
  });

  test("StoredFile.remember() of a file that is gone does nothing", async ({ storage }) => {
    await put(storage, "d/a", "old");
    await using file = await storage.open(name("d/a"), "md5");
    await storage.remove(name("d"), { recursive: true });
    await file.remember(md5("old"));
    await assertCode("not_found", () => storage.checksum(name("d/a"), "md5"));
  });

  test("checksum() is the md5 of the content, before and after it is known", async (tested) => {
    const content = noise(123_457, 3);
    await put(tested.storage, "a", content);
    assertEquals(await tested.storage.checksum(name("a"), "md5"), md5(content));
    await tested.reopen();
    assertEquals(await tested.storage.checksum(name("a"), "md5"), md5(content));
    assertEquals(await tested.storage.checksum(name("a"), "md5"), md5(content));
  });

  test("find() gives what stat() gives, and undefined where nothing is", async ({ storage }) => {
    await put(storage, "d/f", "x");
    assertEquals(await storage.find(name("d/f")), await storage.stat(name("d/f")));
    assertEquals(await storage.find(name("d")), await storage.stat(name("d")));
    for (const missing of ["nope", "d/nope", "nope/f"]) {
      assertEquals(await storage.find(name(missing)), undefined);
    }
  });

  test("findAll() gives for each name what find() gives", async ({ storage }) => {
    await put(storage, "d/f", "x");
    await put(storage, "d/g", "yy");
    const names = ["d/f", "nope", "d", "d/g", "nope/f", "d/nope", "d/f"].map(name);
    const expected = await Promise.all(names.map((name) => storage.find(name)));
    assertEquals(await storage.findAll(names), expected);
    assertEquals(await storage.findAll([]), []);
    // Below a file nothing can be.
    const [below, beside] = await storage.findAll([name("d/f/below"), name("d/g")]);
    assertEquals([(below as FerryError).code, (beside as Entry).size], ["not_a_file", 2]);
  });
}
