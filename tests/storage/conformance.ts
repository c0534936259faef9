/**
 * What every {@linkcode Storage} owes to its callers, as one suite that is run for each implementation.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { PrefixDigest, type SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import { type ErrorCode, FerryError } from "../../lib/core/errors.ts";
import {
  MAX_NAME_BYTES,
  MAX_PART_BYTES,
  parseDirectoryName,
  parseFileName,
} from "../../lib/core/remote_name.ts";
import type { Entry } from "../../lib/core/entry.ts";
import type { PendingWrite, Storage, StoredFile } from "../../server/storage/storage.ts";
import type { CommitOptions, Committed } from "../../lib/files/commit.ts";
import { assertCode } from "../support/assertions.ts";
import { md5 } from "../support/bytes.ts";

/** An empty storage and a view behind it. */
export interface TestedStorage extends AsyncDisposable {
  /** The storage; another object after {@linkcode TestedStorage.reopen}. */
  readonly storage: Storage;
  /** Closes the storage and opens it again over the same files. */
  reopen(): Promise<void>;
  /** What the storage keeps of writes that were not committed. */
  leftovers(): Promise<string[]>;
}

const name = parseFileName;

function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/** Bytes without a pattern that two pieces would share. */
function noise(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed * 2654435761 + 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Begins a write and gives it its content, but does not commit it. */
export async function begin(
  storage: Storage,
  filename: string,
  content: Uint8Array | string,
): Promise<PendingWrite> {
  const bytes = bytesOf(content);
  const pending = await storage.create(name(filename), { size: bytes.length });
  await pending.write(bytes);
  return pending;
}

/** Stores a file. */
export async function put(
  storage: Storage,
  filename: string,
  content: Uint8Array | string,
  options: Partial<CommitOptions> = {},
): Promise<Committed> {
  await using pending = await begin(storage, filename, content);
  return await pending.commit({ checksum: md5(content), replace: false, ...options });
}

async function readAll(file: StoredFile, pieceSize = 100_000): Promise<Uint8Array> {
  const pieces: number[] = [];
  const into = new Uint8Array(pieceSize);
  for (;;) {
    const count = await file.read(into);
    if (count === null) return new Uint8Array(pieces);
    assert(count <= into.length, "more was read than there is room for");
    for (const byte of into.subarray(0, count)) pieces.push(byte);
  }
}

/** The content of a file as text. */
export async function textOf(storage: Storage, filename: string): Promise<string> {
  await using file = await storage.open(name(filename), "md5");
  return new TextDecoder().decode(await readAll(file));
}

/** The names that a listing gives, in its order. */
export async function listed(
  storage: Storage,
  directory = "",
  { recursive = true } = {},
): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of storage.list(parseDirectoryName(directory), { recursive })) {
    names.push(entry.filename);
  }
  return names;
}

const NOT_FOUND_OR_FILE: readonly ErrorCode[] = ["not_found", "not_a_file"];

/** Registers the suite; `make` gives an empty storage for each test of it. */
export function testStorage(title: string, make: () => Promise<TestedStorage>): void {
  function test(criterion: string, run: (tested: TestedStorage) => Promise<void>): void {
    Deno.test(`${title}: ${criterion}`, async () => {
      await using tested = await make();
      await run(tested);
      assertEquals(await tested.leftovers(), [], "something was left behind");
    });
  }

  testWriting(test);
  testConcurrency(test);
  testReading(test);
  testListing(test);
  testNames(test);
  testChanging(test);
}

type Test = (criterion: string, run: (tested: TestedStorage) => Promise<void>) => void;

function testWriting(test: Test): void {
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

function testConcurrency(test: Test): void {
  const turns = Array.from({ length: 12 }, (_, turn) => turn);

  test("commit() of one name by many at once with replace: the last call wins", async ({ storage }) => {
    const contents = turns.map((turn) => noise(1000 + turn, turn));
    const pending = await Promise.all(contents.map((bytes) => begin(storage, "same", bytes)));
    const committed = await Promise.all(
      pending.map((write, turn) => write.commit({ checksum: md5(contents[turn]!), replace: true })),
    );
    assertEquals(
      committed,
      contents.map((bytes) => ({ checksum: md5(bytes), size: bytes.length, unchanged: false })),
    );
    await using file = await storage.open(name("same"), "md5");
    assertEquals(md5(await readAll(file)), md5(contents.at(-1)!));
    assertEquals(await storage.checksum(name("same"), "md5"), md5(contents.at(-1)!));
    for (const write of pending) await write[Symbol.asyncDispose]();
  });

  test("commit() of one name by many at once without replace: the first call wins", async ({ storage }) => {
    const texts = turns.map((turn) => turn % 3 === 0 ? "first" : `other ${turn}`);
    const pending = await Promise.all(texts.map((text) => begin(storage, "same", text)));
    const outcomes = await Promise.all(
      pending.map(async (write, turn) => {
        try {
          const { unchanged } = await write.commit({ checksum: md5(texts[turn]!), replace: false });
          return unchanged ? "unchanged" : "stored";
        } catch (error) {
          return (error as FerryError).code;
        }
      }),
    );
    const expected = turns.map((turn) => turn % 3 === 0 ? "unchanged" : "exists");
    assertEquals(outcomes, ["stored", ...expected.slice(1)]);
    assertEquals(await textOf(storage, "same"), "first");
    for (const write of pending) await write[Symbol.asyncDispose]();
  });

  test("commit() of many names at once, of which some fail", async ({ storage }) => {
    await put(storage, "n/3/file", "in the way");
    const outcomes = await Promise.allSettled(
      turns.map((turn) => put(storage, `n/${turn}/file`, `content ${turn}`)),
    );
    assertEquals(
      outcomes.map(({ status }) => status),
      turns.map((turn) => turn === 3 ? "rejected" : "fulfilled"),
    );
    for (const turn of turns) {
      const expected = turn === 3 ? "in the way" : `content ${turn}`;
      assertEquals(await textOf(storage, `n/${turn}/file`), expected);
    }
  });

  test("commit() never shows a reader a part or a mixture", async ({ storage }) => {
    const contents = turns.map((turn) => noise(150_000 + turn * 1000, turn));
    const whole = new Set(contents.map(md5));
    await put(storage, "read", contents[0]!);
    let over = false;
    let reads = 0;
    const reading = (async () => {
      do {
        await using file = await storage.open(name("read"), "md5");
        const bytes = await readAll(file, 70_000);
        assert(whole.has(md5(bytes)), `${bytes.length} bytes that nobody wrote`);
        assertEquals(bytes.length, file.entry.size);
        reads++;
        await new Promise((done) => setTimeout(done));
      } while (!over);
    })();
    for (const bytes of contents) await put(storage, "read", bytes, { replace: true });
    over = true;
    await reading;
    assert(reads > 0, "nothing was read");
  });

  test("write() of two pending writes of one name do not mix", async ({ storage }) => {
    await using a = await storage.create(name("x"), { size: 4 });
    await using b = await storage.create(name("x"), { size: 4 });
    await a.write(bytesOf("aa"));
    await b.write(bytesOf("bb"));
    await a.write(bytesOf("AA"));
    await b.write(bytesOf("BB"));
    await b.commit({ checksum: md5("bbBB"), replace: false });
    assertEquals(await textOf(storage, "x"), "bbBB");
    await a.commit({ checksum: md5("aaAA"), replace: true });
    assertEquals(await textOf(storage, "x"), "aaAA");
  });
}

function testReading(test: Test): void {
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
    const rest = await readAll(file);
    assertEquals(md5(new Uint8Array([...start.subarray(0, count!), ...rest])), md5(old));
    await file.assertUnchanged?.(md5(old));
    assertEquals(file.entry.size, old.length);
  });

  test("StoredFile stays the same file when its name is removed or moved", async ({ storage }) => {
    await put(storage, "removed", "old r");
    await put(storage, "moved", "old m");
    await using removed = await storage.open(name("removed"), "md5");
    await using moved = await storage.open(name("moved"), "md5");
    await storage.remove(name("removed"), { recursive: false });
    await storage.move(name("moved"), name("elsewhere"), { replace: false });
    assertEquals(new TextDecoder().decode(await readAll(removed)), "old r");
    assertEquals(new TextDecoder().decode(await readAll(moved)), "old m");
    await removed.assertUnchanged?.(md5("old r"));
    await moved.assertUnchanged?.(md5("old m"));
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
}

function testListing(test: Test): void {
  test("list() of an empty storage is empty", async ({ storage }) => {
    assertEquals(await listed(storage), []);
    assertEquals(await listed(storage, "", { recursive: false }), []);
  });

  test("list() gives each directory before its content, names by UTF-16 units", async ({ storage }) => {
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
      "😀",
      "\uff5e",
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
      assertEquals(entry, await storage.stat(name(entry.filename)));
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
}

function testNames(test: Test): void {
  const longest = Array.from({ length: 12 }, (_, turn) => `${turn % 10}`.repeat(MAX_PART_BYTES))
    .join("/");
  assert(longest.length <= MAX_NAME_BYTES, "the longest name of the tests is too long");
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
    for (const filename of names) {
      await put(storage, filename, `content of ${filename}`);
      assertEquals(await textOf(storage, filename), `content of ${filename}`);
      assertEquals((await storage.stat(name(filename))).filename, filename);
    }
    const shown = new Set(await listed(storage));
    for (const filename of names) {
      assert(shown.has(filename), `not listed: ${JSON.stringify(filename)}`);
      await storage.remove(name(filename), { recursive: false });
      await assertCode("not_found", () => storage.stat(name(filename)));
    }
  });

  test("every good name is moved and made a directory as it is", async ({ storage }) => {
    for (const filename of names) {
      await put(storage, "plain", "x", { replace: true });
      await storage.move(name("plain"), name(filename), { replace: false });
      assertEquals(await textOf(storage, filename), "x");
      await storage.remove(name(filename), { recursive: false });
      await storage.mkdir(name(filename));
      assertEquals((await storage.stat(name(filename))).type, "directory");
      await storage.remove(name(filename.split("/")[0]!), { recursive: true });
    }
    assertEquals(await listed(storage), []);
  });
}

function testChanging(test: Test): void {
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

  test("find() gives what stat() gives, and undefined where nothing is", async ({ storage }) => {
    await put(storage, "d/f", "x");
    assertEquals(await storage.find(name("d/f")), await storage.stat(name("d/f")));
    assertEquals(await storage.find(name("d")), await storage.stat(name("d")));
    for (const missing of ["nope", "d/nope", "nope/f"]) {
      assertEquals(await storage.find(name(missing)), undefined);
    }
  });

  test("list() tells all of a large directory in order", async ({ storage }) => {
    const many = Array.from({ length: 200 }, (_, i) => `d/${String(i).padStart(3, "0")}`);
    for (const path of many) await put(storage, path, "x");
    await storage.mkdir(name("d/100a"));
    await put(storage, "d/100a/in", "x");
    const expected = ["d", ...many.slice(0, 101), "d/100a", "d/100a/in", ...many.slice(101)];
    assertEquals(await listed(storage), expected);
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

  test("resume() goes on behind what was kept, also in another process", async (tested) => {
    const bytes = noise(300_000, 1);
    const size = bytes.length;
    await keepPart(tested.storage, "f", bytes, 128_000);
    await tested.reopen();
    const { storage } = tested;
    const [part] = await storage.parts();
    assertEquals([part?.filename, part?.size, part?.received, part?.active], [
      "f",
      size,
      128_000,
      false,
    ]);
    assertEquals(await storage.resume(name("f"), { size: size + 1, algorithm: "md5" }), undefined);
    assertEquals(await storage.resume(name("g"), { size, algorithm: "md5" }), undefined);
    {
      await using pending = (await storage.resume(name("f"), { size, algorithm: "md5" }))!;
      assertEquals(pending.behind?.size, 128_000);
      assertEquals((await storage.parts())[0]?.active, true);
      await pending.write(bytes.subarray(128_000));
      await pending.commit({ checksum: md5(bytes), replace: false });
    }
    await using file = await storage.open(name("f"), "md5");
    assertEquals(await readAll(file), bytes);
    assertEquals(await storage.parts(), []);
  });

  test("resume() finds nothing where nothing was kept", async ({ storage }) => {
    const bytes = noise(128_000, 2);
    const pending = await storage.create(name("f"), { size: 300_000 });
    await pending.write(bytes);
    await pending.checkpoint(await prefixOf(bytes));
    await pending[Symbol.asyncDispose]();
    assertEquals(await storage.resume(name("f"), { size: 300_000, algorithm: "md5" }), undefined);
    assertEquals(await storage.parts(), []);
  });

  test("resume() takes over from a writer that fell silent, and tells it", async ({ storage }) => {
    const bytes = noise(128_000, 3);
    const told = Promise.withResolvers<void>();
    const silent = await storage.create(name("f"), { size: 300_000, onTakenOver: told.resolve });
    await silent.write(bytes);
    await silent.checkpoint(await prefixOf(bytes));
    const resuming = storage.resume(name("f"), { size: 300_000, algorithm: "md5" });
    await told.promise;
    silent.keep();
    await silent[Symbol.asyncDispose]();
    await using pending = await resuming;
    assertEquals(pending?.behind?.size, bytes.length);
  });

  test("resume() and parts() know an owner's parts only, also in another process", async (tested) => {
    const bytes = noise(300_000, 5);
    const size = bytes.length;
    await keepPart(tested.storage, "f", bytes, 64_000, "a:1");
    await keepPart(tested.storage, "f", bytes, 128_000);
    await tested.reopen();
    const { storage } = tested;
    const received = async (owner?: string) =>
      (await storage.parts(owner)).map(({ received }) => received);
    assertEquals([await received("a:1"), await received(), await received("a:2")], [[64_000], [
      128_000,
    ], []]);
    const behind = async (owner?: string) => {
      const pending = await storage.resume(name("f"), { size, algorithm: "md5", owner });
      const there = pending?.behind?.size;
      pending?.keep();
      await pending?.[Symbol.asyncDispose]();
      return there;
    };
    assertEquals(await behind("a:2"), undefined);
    assertEquals([await behind("a:1"), await behind()], [64_000, 128_000]);
    await storage.expireParts(-1);
    assertEquals([await received("a:1"), await received()], [[], []]);
  });

  test("resume() does not touch another owner's writer, be it silent", async ({ storage }) => {
    const bytes = noise(300_000, 6);
    let taken = false;
    const onTakenOver = () => void (taken = true);
    const options = { size: bytes.length, owner: "a:1", onTakenOver };
    await using silent = await storage.create(name("f"), options);
    await silent.write(bytes.subarray(0, 128_000));
    await silent.checkpoint(await prefixOf(bytes.subarray(0, 128_000)));
    for (const owner of ["", "a:2"]) {
      const resumed = await storage.resume(name("f"), { ...options, algorithm: "md5", owner });
      assertEquals(resumed, undefined);
    }
    await silent.write(bytes.subarray(128_000));
    assertEquals((await silent.commit({ checksum: md5(bytes), replace: false })).unchanged, false);
    assertEquals(taken, false);
  });

  test("discardParts() removes an owner's parts of a name, but what is being written", async (tested) => {
    const { storage } = tested;
    const bytes = noise(300_000, 7);
    const keptFor = async (owner: string) =>
      (await storage.parts(owner)).map(({ filename }) => owner + filename);
    const kept = async () => [...await keptFor(""), ...await keptFor("a:1")];
    await keepPart(storage, "f", bytes, 64_000);
    await keepPart(storage, "f", bytes.subarray(1), 64_000);
    await keepPart(storage, "g", bytes, 64_000);
    await keepPart(storage, "f", bytes, 64_000, "a:1");
    const refused = new FerryError("auth_required", "not any more");
    const assertMay = () => {
      throw refused;
    };
    await assertCode("auth_required", () => storage.discardParts(name("f"), { assertMay }));
    assertEquals(await kept(), ["f", "f", "g", "a:1f"]);
    {
      const options = { size: bytes.length, algorithm: "md5" } as const;
      await using pending = (await storage.resume(name("f"), options))!;
      await assertCode("busy", () => storage.discardParts(name("f")));
      assertEquals((await storage.parts()).map(({ filename, active }) => [filename, active]), [
        ["f", true],
        ["g", false],
      ]);
      await pending.write(bytes.subarray(64_000));
      await pending.commit({ checksum: md5(bytes), replace: false });
    }
    await assertCode("not_found", () => storage.discardParts(name("f")));
    await storage.discardParts(name("f"), { owner: "a:1" });
    await tested.reopen();
    assertEquals((await tested.storage.parts()).map(({ filename }) => filename), ["g"]);
    await tested.storage.discardParts(name("g"));
    assertEquals(await tested.storage.parts(), []);
    assertEquals((await tested.storage.stat(name("f"))).size, bytes.length);
  });

  test("expireParts() removes what is old and nobody's", async ({ storage }) => {
    await keepPart(storage, "f", noise(300_000, 4), 64_000);
    await storage.expireParts(60_000);
    assertEquals((await storage.parts()).length, 1);
    await storage.expireParts(-1);
    assertEquals(await storage.parts(), []);
    assertEquals(await storage.resume(name("f"), { size: 300_000, algorithm: "md5" }), undefined);
  });
}

export async function prefixOf(bytes: Uint8Array): Promise<SavedPrefix> {
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: true });
  digest.update(bytes);
  return digest.save()!;
}

/** Writes the first `count` bytes of a file and keeps them; `count` is a multiple of 64. */
export async function keepPart(
  storage: Storage,
  filename: string,
  bytes: Uint8Array,
  count: number,
  owner?: string,
) {
  const pending = await storage.create(name(filename), { size: bytes.length, owner });
  await pending.write(bytes.subarray(0, count));
  await pending.checkpoint(await prefixOf(bytes.subarray(0, count)));
  pending.keep();
  await pending[Symbol.asyncDispose]();
}
