import { assert, assertEquals } from "@std/assert";
import { LocalFile, readLocalFile } from "../lib/local_file.ts";
import { TempDir } from "./programs.ts";
import { assertCode } from "./storage_conformance.ts";

Deno.test("LocalFile.open() tells what the file is", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "12345");
  Deno.chmodSync(path, 0o640);
  Deno.utimeSync(path, new Date(5000), new Date(1_234_567_890_123));
  Deno.symlinkSync("file", dir.join("link"));
  for (const name of ["file", "link"]) {
    await using file = LocalFile.open(dir.join(name));
    assertEquals([file.size, file.mtime, file.mode], [5, 1_234_567_890_123, 0o640]);
    assert(file.info.isFile);
  }
});

Deno.test("LocalFile.open() refuses what is no regular file, and leaves nothing open", async () => {
  await using dir = new TempDir();
  dir.write("file", "x");
  Deno.symlinkSync("nowhere", dir.join("dangling"));
  Deno.symlinkSync("loop", dir.join("loop"));
  const { success } = await new Deno.Command("mkfifo", { args: [dir.join("pipe")] }).output();
  assert(success, "mkfifo failed");
  await assertCode("not_found", () => LocalFile.open(dir.join("missing")));
  await assertCode("not_found", () => LocalFile.open(dir.join("dangling")));
  await assertCode("not_a_file", () => LocalFile.open(dir.join("file/below")));
  await assertCode("bad_name", () => LocalFile.open(dir.join("loop")));
  const directory = await assertCode("not_a_file", () => LocalFile.open(dir.path));
  assertEquals(directory.reason, "it is a directory");
  // A pipe without another end: whoever opened it would wait here for good.
  const pipe = await assertCode("not_a_file", () => LocalFile.open(dir.join("pipe")));
  assertEquals(pipe.reason, "it is not a regular file");
  await assertCode("not_a_file", () => LocalFile.open("/dev/null"));
});

Deno.test({
  name: "LocalFile.open() of a file that may not be read is denied" +
    (Deno.uid() === 0 ? " (ignored: root may read everything)" : ""),
  ignore: Deno.uid() === 0,
  async fn() {
    await using dir = new TempDir();
    Deno.chmodSync(dir.write("secret", "x"), 0);
    await assertCode("denied", () => LocalFile.open(dir.join("secret")));
  },
});

Deno.test("LocalFile.read() gives every byte once, in small pieces and in large ones", async () => {
  await using dir = new TempDir();
  const content = crypto.getRandomValues(new Uint8Array(60_000)).map((byte, at) => byte ^ at);
  const path = dir.write("file", content);
  for (const pieceSize of [997, 60_000, 65_536, 65_537, 200_000]) {
    await using file = LocalFile.open(path);
    const read = new Uint8Array(content.length);
    const piece = new Uint8Array(pieceSize);
    let size = 0;
    for (let count; (count = await file.read(piece)) !== null; size += count) {
      read.set(piece.subarray(0, count), size);
    }
    assertEquals(size, content.length);
    assertEquals(read, content);
    assertEquals(await file.read(piece), null);
  }
});

Deno.test("LocalFile.read() of an empty file is at its end", async () => {
  await using dir = new TempDir();
  await using file = LocalFile.open(dir.write("empty", ""));
  assertEquals(file.size, 0);
  assertEquals(await file.read(new Uint8Array(10)), null);
  await file.assertUnchanged();
});

Deno.test("LocalFile.seek() begins anew", async () => {
  await using dir = new TempDir();
  await using file = LocalFile.open(dir.write("file", "abc"));
  const piece = new Uint8Array(2);
  for (let turn = 0; turn < 2; turn++) {
    assertEquals(await file.read(piece), 2);
    assertEquals(new TextDecoder().decode(piece), "ab");
    file.seek(0);
  }
});

Deno.test("LocalFile.assertUnchanged() fails where the file was written to", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "12345");
  Deno.utimeSync(path, 1000, 1000);
  await using file = LocalFile.open(path);
  await file.assertUnchanged();

  Deno.writeTextFileSync(path, "54321");
  const rewritten = await assertCode("io", () => file.assertUnchanged());
  assertEquals(rewritten.reason, "it changed while it was sent: 5 bytes before, 5 now");

  Deno.writeTextFileSync(path, "6", { append: true });
  Deno.utimeSync(path, 1000, 1000);
  const grown = await assertCode("io", () => file.assertUnchanged());
  assertEquals(grown.reason, "it changed while it was sent: 5 bytes before, 6 now");
});

Deno.test("LocalFile stays the file that was opened when its name is given to another", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "old");
  await using file = LocalFile.open(path);
  dir.write("new", "newer");
  Deno.renameSync(dir.join("new"), path);
  const piece = new Uint8Array(10);
  assertEquals(await file.read(piece), 3);
  assertEquals(new TextDecoder().decode(piece.subarray(0, 3)), "old");
  await file.assertUnchanged();
  Deno.removeSync(path);
  await file.assertUnchanged();
});

Deno.test("readLocalFile() gives small files and large ones whole, links followed", async () => {
  await using dir = new TempDir();
  for (const size of [0, 1, 4096, 65_536, 65_537, 200_000]) {
    const content = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
    const bytes = new Uint8Array(size);
    bytes.set(content, size - content.length);
    const path = dir.write(`${size}`, bytes);
    Deno.chmodSync(path, 0o640);
    Deno.utimeSync(path, new Date(5000), new Date(1_234_567_890_123));
    Deno.symlinkSync(`${size}`, dir.join(`link-${size}`));
    for (const name of [`${size}`, `link-${size}`]) {
      const expected = { bytes, mtime: 1_234_567_890_123, mode: 0o640 };
      assertEquals(await readLocalFile(dir.join(name)), expected);
    }
  }
});

Deno.test("readLocalFile() refuses what is no regular file", async () => {
  await using dir = new TempDir();
  const { success } = await new Deno.Command("mkfifo", { args: [dir.join("pipe")] }).output();
  assert(success, "mkfifo failed");
  await assertCode("not_found", () => readLocalFile(dir.join("missing")));
  const directory = await assertCode("not_a_file", () => readLocalFile(dir.path));
  assertEquals(directory.reason, "it is a directory");
  await assertCode("not_a_file", () => readLocalFile(dir.join("pipe")));
});

/** Lets something happen behind every read. */
function behindReads(run: () => void): Disposable {
  const { prototype } = Deno.FsFile;
  const { readSync } = prototype;
  prototype.readSync = function (into) {
    const count = readSync.call(this, into);
    run();
    return count;
  };
  return { [Symbol.dispose]: () => void (prototype.readSync = readSync) };
}

Deno.test("readLocalFile() gives the new file where it is replaced meanwhile", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "old");
  dir.write("new", "new");
  let replaced = false;
  using _reads = behindReads(() => {
    if (!replaced) Deno.renameSync(dir.join("new"), path);
    replaced = true;
  });
  const { bytes } = await readLocalFile(path);
  assert(replaced);
  assertEquals(new TextDecoder().decode(bytes), "new");
});

Deno.test("readLocalFile() of a file that keeps changing fails", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "12345");
  using _reads = behindReads(() => Deno.writeTextFileSync(path, "6", { append: true }));
  const grown = await assertCode("io", () => readLocalFile(path));
  assertEquals(grown.reason, "it changed while it was sent: 6 bytes before, 7 now");
});
