import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import { bitsOf, modeAt } from "../../../lib/files/permission_bits.ts";
import { makeDirectories } from "../../../lib/files/directories.ts";
import { syncDirectory } from "../../../lib/files/directory_flush.ts";
import { renameWithoutReplacing } from "../../../lib/files/renaming.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { isUnsupported } from "../../../lib/files/file_errors.ts";
import { DURABILITIES } from "../../../lib/files/durability.ts";
import { TempDir } from "../../support/programs.ts";
import { namesIn } from "../../support/directories.ts";
import { utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

const text = (path: string) => Deno.readTextFileSync(path);

async function staged(dir: TempDir, content: string): Promise<StagedFile> {
  const file = StagedFile.create(dir.path, RUNTIME);
  await file.write(utf8.encode(content));
  return file;
}

Deno.test("StagedFile.create() makes a file of a name that nothing else has", async () => {
  await using dir = new TempDir();
  await using a = StagedFile.create(dir.path, RUNTIME);
  await using b = StagedFile.create(dir.path, RUNTIME, { prefix: ".x-" });
  const names = [a, b].map(({ path }) => path.slice(dir.path.length + 1));
  assertEquals(namesIn(dir.path), names.toSorted());
  assert(/^[0-9a-f-]{36}\.part$/.test(names[0]!), names[0]);
  assert(/^\.x-[0-9a-f-]{36}\.part$/.test(names[1]!), names[1]);
  assertEquals([a.size, b.size], [0, 0]);
});

Deno.test("StagedFile.create() where there is no directory", async () => {
  await using dir = new TempDir();
  dir.write("file", "x");
  await assertCode("not_found", () => StagedFile.create(dir.join("missing"), RUNTIME));
  await assertCode("not_a_file", () => StagedFile.create(dir.join("file"), RUNTIME));
});

Deno.test("StagedFile.truncate() touches no file that has the size already", async () => {
  await using dir = new TempDir();
  const path = dir.write("part", "12345");
  const long = new Date(1_000_000_000_000);
  for (const [size, touched] of [[5, false], [2, true]] as const) {
    await using file = StagedFile.claim(path, RUNTIME, { create: false })!;
    Deno.utimeSync(path, long, long);
    file.truncate(size);
    assertEquals(file.size, size);
    assertEquals(Deno.statSync(path).mtime!.getTime() !== long.getTime(), touched);
    await file.write(utf8.encode("6"));
    file.keep();
  }
  assertEquals(text(path), "126");
});

Deno.test("StagedFile writes at positions, in the order of the calls, and reads back", async () => {
  await using dir = new TempDir();
  await using file = StagedFile.create(dir.path, RUNTIME);
  file.beginPieces(9);
  const writes = [["789", 6], ["xyz", 0], ["123", 0], ["456", 3]] as const;
  await Promise.all(writes.map(([bytes, at]) => file.writeAt(utf8.encode(bytes), at)));
  assertEquals([text(file.path), file.size], ["123456789", 9]);
  const into = new Uint8Array(4);
  assertEquals([await file.readAt(into, 7), into.subarray(0, 2)], [2, utf8.encode("89")]);
  assertEquals(await file.readAt(into, 9), null);
});

Deno.test("StagedFile keeps what is behind its first bytes until something is appended", async () => {
  await using dir = new TempDir();
  const path = dir.write("part", "12345");
  const claim = () => StagedFile.claim(path, RUNTIME, { create: false })!;
  {
    await using file = claim();
    file.truncate(2, { later: true });
    file.keep();
  }
  assertEquals(text(path), "12345");
  await using file = claim();
  file.truncate(2, { later: true });
  await file.write(utf8.encode("6"));
  assertEquals([text(path), file.size], ["126", 3]);
});

/** The permission bits of the file at a path, in octal digits. */
function bitsAt(path: string): string {
  return (Deno.lstatSync(path).mode! & 0o777).toString(8);
}

Deno.test({
  name: "a file that is to get certain permission bits is for one user alone before",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using dir = new TempDir();
    const name = dir.join("name");
    const left = (path: string) => {
      Deno.writeTextFileSync(path, "left");
      Deno.chmodSync(path, 0o666);
      return StagedFile.claim(path, RUNTIME, { create: false, mode: 0o664 })!;
    };
    const files = [
      StagedFile.create(dir.path, RUNTIME, { mode: 0o664 }),
      StagedFile.claim(dir.join("a.part"), RUNTIME, { create: true, mode: 0o664 })!,
      left(dir.join("b.part")),
    ];
    for (const opened of files) {
      await using file = opened;
      assertEquals(bitsAt(file.path), "600");
      file.setAttributes({});
      file.publish(name, { replace: true });
      assertEquals(bitsAt(name), "664");
    }
    Deno.chmodSync(dir.write("c.part", "left"), 0o600);
    // It was private for the sake of another file than the one that it becomes.
    await using other = StagedFile.claim(dir.join("c.part"), RUNTIME, { create: false })!;
    other.setAttributes({});
    assertEquals(bitsAt(other.path), bitsAt(dir.write("new", "")));
  },
});

Deno.test("modeAt() tells the permission bits of files, and of nothing else", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "x");
  Deno.mkdirSync(dir.join("directory"));
  assertEquals([modeAt(dir.join("missing")), modeAt(dir.join("directory"))], [
    undefined,
    undefined,
  ]);
  assertEquals(modeAt(path), bitsOf(Deno.statSync(path)));
});

const NO_LINKS = Deno.build.os === "windows";

Deno.test({
  name: "StagedFile.claim() does not open a file that has another name, and removes only its own",
  ignore: NO_LINKS,
  async fn() {
    await using dir = new TempDir();
    const published = dir.write("published", "whole");
    const path = dir.join("part");
    Deno.linkSync(published, path);
    assertEquals(StagedFile.claim(path, RUNTIME, { create: false }), undefined);
    assertEquals(namesIn(dir.path), ["published"]);
    Deno.linkSync(published, path);
    {
      await using file = StagedFile.claim(path, RUNTIME, { create: true })!;
      file.truncate(0);
      await file.write(utf8.encode("new"));
      assertEquals(text(path), "new");
    }
    assertEquals([namesIn(dir.path), text(published)], [["published"], "whole"]);
  },
});

Deno.test("StagedFile.publish() lets nobody claim the file before it has its name", async () => {
  await using dir = new TempDir();
  for (const replace of [false, true]) {
    const path = dir.write("part", "whole");
    await using file = StagedFile.claim(path, RUNTIME, { create: false })!;
    file.truncate(5);
    const { linkSync, renameSync } = Deno;
    let claimed: StagedFile | undefined;
    const claimFirst =
      <Args extends unknown[]>(real: (...args: Args) => void) => (...args: Args) => {
        claimed = StagedFile.claim(path, RUNTIME, { create: false });
        real(...args);
      };
    Deno.linkSync = claimFirst(linkSync);
    Deno.renameSync = claimFirst(renameSync);
    try {
      file.publish(dir.join("name"), { replace });
    } finally {
      Object.assign(Deno, { linkSync, renameSync });
    }
    assertEquals(claimed, undefined);
  }
});

Deno.test("StagedFile.write() takes all the bytes, in small pieces and in large ones", async () => {
  await using dir = new TempDir();
  await using file = StagedFile.create(dir.path, RUNTIME);
  const content = new Uint8Array(300_000).map((_, at) => at * 31 >> 3);
  let at = 0;
  for (const size of [0, 1, 65_535, 65_536, 65_537, 100_000]) {
    const piece = content.slice(at, at + size);
    await file.write(piece);
    piece.fill(0);
    at += size;
    assertEquals(file.size, at);
  }
  assertEquals(Deno.readFileSync(file.path), content.slice(0, at));
});

Deno.test("StagedFile.write() after the file was published fails", async () => {
  await using dir = new TempDir();
  await using file = await staged(dir, "whole");
  file.publish(dir.join("name"), { replace: false });
  await assertCode("closed", () => file.write(utf8.encode(" and more")));
  assertEquals(text(dir.join("name")), "whole");
  assertEquals(file.size, 5);
});

Deno.test("StagedFile.publish() gives the file its name and leaves no other", async () => {
  await using dir = new TempDir();
  for (const replace of [false, true]) {
    await using file = await staged(dir, `replace ${replace}`);
    await file.sync();
    const target = dir.join(`name-${replace}`);
    file.publish(target, { replace });
    assertEquals(text(target), `replace ${replace}`);
  }
  assertEquals(namesIn(dir.path), ["name-false", "name-true"]);
});

Deno.test("StagedFile.publish() replaces a file where it may", async () => {
  await using dir = new TempDir();
  dir.write("name", "old");
  await using kept = await staged(dir, "new");
  await assertCode("exists", () => kept.publish(dir.join("name"), { replace: false }));
  assertEquals(text(dir.join("name")), "old");
  await using file = await staged(dir, "newer");
  file.publish(dir.join("name"), { replace: true });
  assertEquals(text(dir.join("name")), "newer");
});

Deno.test("StagedFile.publish() fails where the name cannot be given, and disposal cleans up", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("directory"));
  Deno.symlinkSync("nowhere", dir.join("dangling"));
  dir.write("file", "x");
  const attempts = [
    ["not_a_file", "directory", true],
    ["exists", "directory", false],
    ["exists", "dangling", false],
    ["not_found", "missing/name", true],
    ["not_found", "missing/name", false],
    ["not_a_file", "file/name", true],
    ["not_a_file", "file/name", false],
  ] as const;
  for (const [code, target, replace] of attempts) {
    const file = await staged(dir, "new");
    await assertCode(code, () => file.publish(dir.join(target), { replace }));
    assert(isTaken(file.path), "it is gone before it is disposed of");
    await file[Symbol.asyncDispose]();
    assertEquals(namesIn(dir.path), ["dangling", "directory", "file"]);
  }
  assertEquals(namesIn(dir.join("directory")), []);
});

Deno.test("StagedFile disposal removes what was not published, once", async () => {
  await using dir = new TempDir();
  const file = await staged(dir, "half");
  await file[Symbol.asyncDispose]();
  assertEquals(namesIn(dir.path), []);
  // Whoever has that name now keeps it.
  Deno.writeTextFileSync(file.path, "somebody else's");
  await file[Symbol.asyncDispose]();
  assertEquals(text(file.path), "somebody else's");
});

Deno.test("StagedFile disposal does not fail where the file is gone", async () => {
  await using dir = new TempDir();
  const file = await staged(dir, "half");
  Deno.removeSync(file.path);
  await file[Symbol.asyncDispose]();
  assertEquals(namesIn(dir.path), []);
});

Deno.test("StagedFile disposal after publish() keeps the file and a new one of the old name", async () => {
  await using dir = new TempDir();
  const file = await staged(dir, "whole");
  file.publish(dir.join("name"), { replace: false });
  Deno.writeTextFileSync(file.path, "somebody else's");
  await file[Symbol.asyncDispose]();
  assertEquals(text(dir.join("name")), "whole");
  assertEquals(text(file.path), "somebody else's");
});

Deno.test("StagedFile.setAttributes() sets time and mode, each where it is given", async () => {
  await using dir = new TempDir();
  await using file = await staged(dir, "x");
  const { mode, mtime } = Deno.statSync(file.path);
  file.setAttributes({});
  assertEquals(Deno.statSync(file.path).mode, mode);
  assertEquals(Deno.statSync(file.path).mtime, mtime);
  file.setAttributes({ mtime: 1_234_567_890_123 });
  assertEquals(Deno.statSync(file.path).mode, mode);
  file.setAttributes({ mode: 0o640 });
  file.publish(dir.join("name"), { replace: false });
  const after = Deno.statSync(dir.join("name"));
  assertEquals(after.mtime?.getTime(), 1_234_567_890_123);
  assertEquals(after.mode! & 0o777, 0o640);
});

Deno.test("StagedFile.setAttributes(), sync() of a file that is gone or closed give a FerryError", async () => {
  await using dir = new TempDir();
  await using file = await staged(dir, "x");
  Deno.removeSync(file.path);
  await assertCode("not_found", () => file.setAttributes({ mode: 0o640 }));
  await file[Symbol.asyncDispose]();
  await assertCode("closed", () => file.sync());
  await assertCode("closed", () => file.setAttributes({ mtime: 1 }));
});

Deno.test("renameWithoutReplacing() renames unless the name is taken", async () => {
  await using dir = new TempDir();
  const [from, to] = [dir.write("from", "content"), dir.join("to")];
  renameWithoutReplacing(from, to);
  assertEquals(namesIn(dir.path), ["to"]);
  assertEquals(text(to), "content");
  dir.write("other", "other");
  assertThrows(() => renameWithoutReplacing(dir.join("other"), to), Deno.errors.AlreadyExists);
  assertEquals([text(to), text(dir.join("other"))], ["content", "other"]);
  assertThrows(
    () => renameWithoutReplacing(dir.join("missing"), dir.join("new")),
    Deno.errors.NotFound,
  );
});

Deno.test("renameWithoutReplacing() of what has no hard links: a directory", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("from"));
  dir.write("from/file", "x");
  renameWithoutReplacing(dir.join("from"), dir.join("to"));
  assertEquals(namesIn(dir.join("to")), ["file"]);
  Deno.mkdirSync(dir.join("empty"));
  assertThrows(
    () => renameWithoutReplacing(dir.join("to"), dir.join("empty")),
    Deno.errors.AlreadyExists,
  );
  assertEquals(namesIn(dir.path), ["empty", "to"]);
});

Deno.test("isTaken() is true of whatever stands there", async () => {
  await using dir = new TempDir();
  dir.write("file", "x");
  Deno.symlinkSync("nowhere", dir.join("dangling"));
  for (const name of ["file", "dangling", "."]) assert(isTaken(dir.join(name)), name);
  for (const name of ["missing", "missing/below"]) assert(!isTaken(dir.join(name)), name);
  assertThrows(() => isTaken(dir.join("x".repeat(256))), Error, "name too long");
});

Deno.test("makeDirectories() makes what is missing and tells which directories changed", async () => {
  await using dir = new TempDir();
  assertEquals(makeDirectories(dir.join("a/b/c")).sort(), [
    dir.path,
    dir.join("a"),
    dir.join("a/b"),
  ]);
  assert(Deno.statSync(dir.join("a/b/c")).isDirectory);
  assertEquals(makeDirectories(dir.join("a/b/c")), []);
  assertEquals(makeDirectories(dir.join("a/b/d")), [dir.join("a/b")]);
  Deno.symlinkSync("a", dir.join("link"));
  assertEquals(makeDirectories(dir.join("link")), []);
  assertEquals(makeDirectories(dir.join("link/e")), [dir.join("link")]);
  assert(Deno.statSync(dir.join("a/e")).isDirectory);
});

Deno.test("makeDirectories() where a part is no directory is not_a_file", async () => {
  await using dir = new TempDir();
  dir.write("file", "x");
  Deno.symlinkSync("nowhere", dir.join("dangling"));
  for (const path of ["file", "file/a", "file/a/b", "dangling", "dangling/a", "dangling/a/b"]) {
    await assertCode("not_a_file", () => makeDirectories(dir.join(path)));
  }
  await assertCode("bad_name", () => makeDirectories(dir.join(`a/${"x".repeat(256)}`)));
  assert(!isTaken(dir.join("nowhere")), "a link to nowhere was followed");
});

Deno.test("syncDirectory() flushes a directory, or says that there is none", async () => {
  await using dir = new TempDir();
  await syncDirectory(dir.path);
  await assertCode("not_found", () => syncDirectory(dir.join("missing")));
});

Deno.test("isUnsupported() tells what a file system does not have from what failed", () => {
  const table: readonly [string, boolean][] = [
    ["Invalid argument (os error 22)", true],
    ["Function not implemented (os error 38)", true],
    ["Operation not supported (os error 95)", true],
    ["Input/output error (os error 5)", false],
    ["No space left on device (os error 28)", false],
    ["Invalid argument (os error 220)", false],
  ];
  for (const [message, unsupported] of table) {
    assertEquals([message, isUnsupported(new Error(message))], [message, unsupported]);
  }
  assert(!isUnsupported("(os error 22)"));
});

Deno.test("DURABILITIES has both, the default first", () => {
  assertEquals([...DURABILITIES], ["full", "none"]);
});
