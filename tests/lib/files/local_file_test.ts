import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type FileFacts,
  LocalFile,
  type ReadableFile,
  readLocalFile,
} from "../../../lib/files/local_file.ts";
import { stopClock } from "../../support/clock.ts";
import { TempDir } from "../../support/programs.ts";
import { md5, MIB } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

Deno.test("LocalFile.open() tells what the file is", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "12345");
  Deno.chmodSync(path, 0o640);
  Deno.utimeSync(path, new Date(5000), new Date(1_234_567_890_123));
  Deno.symlinkSync("file", dir.join("link"));
  for (const name of ["file", "link"]) {
    await using file = LocalFile.open(dir.join(name), RUNTIME);
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
  await assertCode("not_found", () => LocalFile.open(dir.join("missing"), RUNTIME));
  await assertCode("not_found", () => LocalFile.open(dir.join("dangling"), RUNTIME));
  await assertCode("not_a_file", () => LocalFile.open(dir.join("file/below"), RUNTIME));
  await assertCode("bad_name", () => LocalFile.open(dir.join("loop"), RUNTIME));
  const directory = await assertCode("not_a_file", () => LocalFile.open(dir.path, RUNTIME));
  assertEquals(directory.reason, "it is a directory");
  // A pipe without another end: whoever opened it would wait here for good.
  const pipe = await assertCode("not_a_file", () => LocalFile.open(dir.join("pipe"), RUNTIME));
  assertEquals(pipe.reason, "it is not a regular file");
  await assertCode("not_a_file", () => LocalFile.open("/dev/null", RUNTIME));
});

Deno.test({
  name: "LocalFile.open() of a file that may not be read is denied" +
    (Deno.uid() === 0 ? " (ignored: root may read everything)" : ""),
  ignore: Deno.uid() === 0,
  async fn() {
    await using dir = new TempDir();
    Deno.chmodSync(dir.write("secret", "x"), 0);
    await assertCode("denied", () => LocalFile.open(dir.join("secret"), RUNTIME));
  },
});

Deno.test("LocalFile.read() gives every byte once, in small pieces and in large ones", async () => {
  await using dir = new TempDir();
  const content = crypto.getRandomValues(new Uint8Array(60_000)).map((byte, at) => byte ^ at);
  const path = dir.write("file", content);
  for (const pieceSize of [997, 60_000, 65_536, 65_537, 200_000]) {
    await using file = LocalFile.open(path, RUNTIME);
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
  await using file = LocalFile.open(dir.write("empty", ""), RUNTIME);
  assertEquals(file.size, 0);
  assertEquals(await file.read(new Uint8Array(10)), null);
  await file.assertUnchanged();
});

Deno.test("LocalFile.seek() begins anew", async () => {
  await using dir = new TempDir();
  await using file = LocalFile.open(dir.write("file", "abc"), RUNTIME);
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
  await using file = LocalFile.open(path, RUNTIME);
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
  await using file = LocalFile.open(path, RUNTIME);
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
      assertEquals(await readLocalFile(dir.join(name), RUNTIME), expected);
    }
  }
});

Deno.test("readLocalFile() refuses what is no regular file", async () => {
  await using dir = new TempDir();
  const { success } = await new Deno.Command("mkfifo", { args: [dir.join("pipe")] }).output();
  assert(success, "mkfifo failed");
  await assertCode("not_found", () => readLocalFile(dir.join("missing"), RUNTIME));
  const directory = await assertCode("not_a_file", () => readLocalFile(dir.path, RUNTIME));
  assertEquals(directory.reason, "it is a directory");
  await assertCode("not_a_file", () => readLocalFile(dir.join("pipe"), RUNTIME));
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
  const { bytes } = await readLocalFile(path, RUNTIME);
  assert(replaced);
  assertEquals(new TextDecoder().decode(bytes), "new");
});

Deno.test("readLocalFile() of a file that keeps changing fails", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "12345");
  using _reads = behindReads(() => Deno.writeTextFileSync(path, "6", { append: true }));
  const grown = await assertCode("io", () => readLocalFile(path, RUNTIME));
  assertMatch(grown.reason, /^it changed while it was sent: (\d) bytes before, \d now$/);
});

Deno.test("readLocalFile() of a file that keeps changing and looks the same fails", async () => {
  await using dir = new TempDir();
  for (const size of [5, 60_000]) {
    const path = dir.write("file", new Uint8Array(size));
    const { mtime } = Deno.statSync(path);
    let turn = 0;
    using _reads = behindReads(() => {
      Deno.writeFileSync(path, new Uint8Array(size).fill(++turn));
      Deno.utimeSync(path, mtime!, mtime!);
    });
    const changed = await assertCode("io", () => readLocalFile(path, RUNTIME));
    assertEquals(changed.reason, OTHER_BYTES);
    assert(turn > 1);
  }
});

Deno.test("readLocalFile() reads once what changed long ago, and twice what changed a moment ago", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "12345");
  const changed = Deno.statSync(path).ctime!.getTime();
  for (const [after, expected] of [[2100, 1], [2099, 2], [-5000, 2]] as const) {
    using _clock = stopClock(changed + after);
    let reads = 0;
    using _reads = behindReads(() => reads++);
    await readLocalFile(path, RUNTIME);
    assertEquals(reads, expected, `${after} ms after the change`);
  }
});

const OTHER_BYTES = "it changed while it was sent: size and time are the same, the content is not";

/** A file whose facts the test decides; it was last changed at 0. */
class FileInMemory implements ReadableFile {
  readonly bytes: Uint8Array;
  /** When its inode was last changed, in milliseconds since 1970; null where the system does not tell. */
  changed: number | null = 0;
  /** How many bytes have been read. */
  reads = 0;
  #position = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size).map((_, at) => at % 251);
  }

  /** Writes into it as one does who sets the times back. */
  change(at: number): void {
    this.bytes[at]! ^= 1;
  }

  readSync(into: Uint8Array): number | null {
    const piece = this.bytes.subarray(this.#position, this.#position + into.length);
    into.set(piece);
    this.#position += piece.length;
    this.reads += piece.length;
    return piece.length || null;
  }

  read(into: Uint8Array): Promise<number | null> {
    return Promise.resolve(this.readSync(into));
  }

  seekSync(position: number): number {
    return this.#position = position;
  }

  statSync(): FileFacts {
    const ctime = this.changed === null ? null : new Date(this.changed);
    const facts = { isFile: true, isDirectory: false, dev: 1, ino: 1, mode: 0o644 };
    return { ...facts, size: this.bytes.length, mtime: new Date(0), ctime };
  }

  close(): void {}
}

/** Reads on for so many bytes. */
async function readOn(file: LocalFile, size: number): Promise<void> {
  const piece = new Uint8Array(MIB);
  for (let left = size; left > 0;) {
    left -= await file.read(piece.subarray(0, left)) ?? left;
  }
}

Deno.test("LocalFile.assertUnchanged() reads a small file again only where a change could hide", async () => {
  for (const [clock, hides] of [[2099, true], [2100, false], [-1, true]] as const) {
    using _clock = stopClock(clock);
    const memory = new FileInMemory(1000);
    const whole = md5(memory.bytes);
    await using file = LocalFile.of(memory, RUNTIME);
    assertEquals(file.settled, !hides);
    await readOn(file, 1000);
    await file.assertUnchanged(whole);
    assertEquals(memory.reads, hides ? 2000 : 1000);
    memory.change(999);
    // Whoever knew the checksum before sees by it that the bytes are others.
    await file.assertUnchanged();
    if (!hides) await file.assertUnchanged(whole);
    else {
      const { reason } = await assertCode("io", () => file.assertUnchanged(whole));
      assertEquals(reason, OTHER_BYTES);
    }
  }
});

Deno.test("LocalFile.readWhole() compares byte by byte where a change could hide", async () => {
  for (const [clock, changed, again] of [[2099, 0, true], [2100, 0, false], [2100, 1000, true]]) {
    using _clock = stopClock(Number(clock));
    const memory = new FileInMemory(3 * MIB);
    await using file = LocalFile.of(memory, RUNTIME);
    memory.changed = Number(changed);
    assertEquals(await file.readWhole(), memory.bytes);
    assertEquals(memory.reads, again ? 6 * MIB : 3 * MIB);

    file.seek(0);
    memory.reads = 0;
    const { readSync } = memory;
    memory.readSync = (into) => {
      const count = readSync.call(memory, into);
      if (memory.reads === 3 * MIB) memory.change(2 * MIB);
      return count;
    };
    if (!again) await file.readWhole();
    else await assertCode("io", () => file.readWhole());
  }
});

Deno.test("LocalFile.assertUnchanged() goes by the modification time where nothing else is told", async () => {
  using clock = stopClock(2100);
  const memory = new FileInMemory(1);
  memory.changed = null;
  await using file = LocalFile.of(memory, RUNTIME);
  assert(file.settled);
  clock.at = 2099;
  await using later = LocalFile.of(memory, RUNTIME);
  assert(!later.settled);
});

Deno.test("LocalFile.assertUnchanged() reads of a large file what was read while a change could hide", async () => {
  const size = 10 * MIB;
  for (const at of [0, 2 * MIB - 1, 2 * MIB, size - 1]) {
    using clock = stopClock(1000);
    const memory = new FileInMemory(size);
    const whole = md5(memory.bytes);
    await using file = LocalFile.of(memory, RUNTIME);
    await readOn(file, 2 * MIB);
    clock.at = 2100;
    await readOn(file, size);
    assertEquals(memory.reads, size);
    memory.change(at);
    // What was read later would show by the time, which stayed the same in this test.
    if (at >= 2 * MIB) await file.assertUnchanged(whole);
    else await assertCode("io", () => file.assertUnchanged(whole));
    assertEquals(memory.reads, size + 2 * MIB);
  }
});

Deno.test("LocalFile.assertUnchanged() knows which parts of a large file were read", async () => {
  const parts = [[7 * MIB, 1000], [0, 3 * MIB], [5 * MIB, 10]] as const;
  const cases = [[7 * MIB, true], [7 * MIB + 1000, false], [MIB, true], [4 * MIB, false], [
    5 * MIB + 9,
    true,
  ]] as const;
  for (const [at, seen] of cases) {
    using _clock = stopClock(1000);
    const memory = new FileInMemory(10 * MIB);
    await using file = LocalFile.of(memory, RUNTIME);
    for (const [from, size] of parts) {
      file.seek(from);
      await readOn(file, size);
    }
    memory.change(at);
    // It is of no use where only parts are in doubt.
    const whole = md5("");
    if (seen) await assertCode("io", () => file.assertUnchanged(whole));
    else await file.assertUnchanged(whole);
  }
});

Deno.test("LocalFile.assertUnchanged() reads all of a file whose inode was changed", async () => {
  for (const size of [1000, 9 * MIB]) {
    using _clock = stopClock(10_000);
    const memory = new FileInMemory(size);
    const whole = md5(memory.bytes);
    await using file = LocalFile.of(memory, RUNTIME);
    await readOn(file, size);
    memory.changed = 9000;
    await file.assertUnchanged(whole);
    assertEquals(memory.reads, 2 * size);
    memory.change(size - 1);
    await assertCode("io", () => file.assertUnchanged(whole));
    assertEquals(memory.reads, 3 * size);
  }
});

Deno.test("LocalFile.assertUnchanged() lets a file pass that was renamed, linked, given a mode and removed", async () => {
  await using dir = new TempDir();
  for (const size of [1000, 9 * MIB]) {
    const path = dir.write("file", new Uint8Array(size).fill(7));
    const whole = md5(new Uint8Array(size).fill(7));
    using clock = stopClock(Date.now() + 10_000);
    await using file = LocalFile.open(path, RUNTIME);
    await readOn(file, size);
    Deno.linkSync(path, dir.join("link"));
    Deno.renameSync(path, dir.join("moved"));
    Deno.chmodSync(dir.join("moved"), 0o600);
    Deno.removeSync(dir.join("moved"));
    Deno.removeSync(dir.join("link"));
    await file.assertUnchanged(whole);
    clock.at = 0;
  }
});
