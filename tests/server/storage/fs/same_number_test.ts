/**
 * Directories that a file system shows under the same device and inode number at the same time.
 *
 * @module
 */

import { RUNTIME } from "../../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { run, testWithMount } from "../../../support/mount.ts";
import { fileSystemAt } from "../../../../lib/file_system/file_system.ts";
import { HOLDS_DIRECTORIES, TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { begin, listed, put, textOf } from "../../../support/stored_files.ts";

/** Gives all directories of some names one inode number, as long as it stands. */
class EqualNumbers implements Disposable {
  readonly #restore = new DisposableStack();

  constructor(isTwin: (name: string) => boolean) {
    for (const call of ["statSync", "lstatSync"] as const) {
      const real = Deno[call];
      Deno[call] = (path) => {
        const info = real(path);
        return info.isDirectory && isTwin(nameAt(path)) ? { ...info, ino: 4242 } : info;
      };
      this.#restore.defer(() => void (Deno[call] = real));
    }
  }

  [Symbol.dispose](): void {
    this.#restore.dispose();
  }
}

/** The name of what a path leads to; "" for what has none any more. */
function nameAt(path: string | URL): string {
  try {
    return Deno.realPathSync(path).split("/").at(-1)!;
  } catch {
    return "";
  }
}

/** What has to hold of a root with the twins `a` and `b` in it. */
async function assertTold(storage: FsStorage, root: string): Promise<void> {
  assert(storage.guarded);
  // Both are held when they are published.
  const writes = await Promise.all(
    ["a", "b"].map((twin) => begin(storage, `${twin}/file`, `in ${twin}`)),
  );
  await Promise.all(["a", "b"].map(async (twin, turn) => {
    await using pending = writes[turn]!;
    await pending.commit({ checksum: md5(`in ${twin}`), replace: true });
  }));
  for (const twin of ["a", "b"]) {
    assertEquals(await textOf(storage, `${twin}/file`), `in ${twin}`);
    assertEquals(Deno.readTextFileSync(`${root}/${twin}/file`), `in ${twin}`);
  }
  await put(storage, "b/other", "x");
  await storage.mkdir(name("a/deep/er"));
  assertEquals(await listed(storage), [
    "a",
    "a/deep",
    "a/deep/er",
    "a/file",
    "b",
    "b/file",
    "b/other",
  ]);
  await storage.move(name("a/file"), name("b/moved"), { replace: false });
  await storage.remove(name("b/file"), { recursive: false });
  await assertCode("not_found", () => storage.stat(name("a/file")));
  assertEquals(await listed(storage, "b"), ["b/moved", "b/other"]);
}

const notHeld = HOLDS_DIRECTORIES ? "" : " (ignored: no directory can be held here)";

function testPinned(criterion: string, fn: () => Promise<void>): void {
  Deno.test({ name: criterion + notHeld, ignore: !HOLDS_DIRECTORIES, fn });
}

testPinned("FsStorage tells directories apart that have one number", async () => {
  await using dir = new TempDir();
  for (const twin of ["a", "b"]) Deno.mkdirSync(dir.join(twin));
  using _ = new EqualNumbers((name) => name === "a" || name === "b");
  await using storage = FsStorage.open(dir.path);
  await assertTold(storage, dir.path);
});

testPinned("FsStorage flushes each of two directories that have one number", async () => {
  await using dir = new TempDir();
  for (const twin of ["a", "b"]) Deno.mkdirSync(dir.join(twin));
  using _ = new EqualNumbers((name) => name === "a" || name === "b");
  const { Root } = await import("../../../../server/storage/fs/root.ts");
  using root = Root.open(dir.path);
  using a = root.enter(name("a"));
  using again = root.enter(name("a"));
  using b = root.enter(name("b"));
  assertEquals(a.identity, again.identity);
  assert(a.identity !== b.identity);
});

testPinned("FsStorage hides its own directory, and none that only has its number", async () => {
  await using dir = new TempDir();
  const root = dir.join("root");
  for (const path of ["root/twin/sub", "root/.ferry"]) {
    Deno.mkdirSync(dir.join(path), { recursive: true });
  }
  using _ = new EqualNumbers((name) => ["twin", ".ferry", "renamed"].includes(name));
  await using storage = FsStorage.open(root);
  assert(storage.guarded);
  await put(storage, "twin/sub/file", "x");
  assertEquals(await listed(storage), ["twin", "twin/sub", "twin/sub/file"]);
  assertEquals(await textOf(storage, "twin/sub/file"), "x");
  Deno.renameSync(`${root}/.ferry`, `${root}/renamed`);
  for (const hidden of ["renamed", "renamed/staging", "renamed/index.db", "renamed"]) {
    await assertCode("not_found", () => storage.stat(name(hidden)));
    await assertCode("not_found", () => storage.stat(name(hidden)));
  }
  assertEquals(await listed(storage), ["twin", "twin/sub", "twin/sub/file"]);
  // Nothing is left of what tells them apart.
  const left = [...Deno.readDirSync(`${root}/renamed`)].map(({ name }) => name).sort();
  const names = left.filter((name) => !name.startsWith("index.db"));
  assertEquals(names, ["leases", "lock", "staging", "version"]);
});

testPinned(
  "FsStorage takes no file of the same number for another that was swapped in",
  async () => {
    await using dir = new TempDir();
    for (const path of ["root/d", "outside"]) Deno.mkdirSync(dir.join(path), { recursive: true });
    dir.write("root/d/file", "inside");
    Deno.linkSync(dir.join("root/d/file"), dir.join("outside/file"));
    const { Directory } = await import("../../../../server/storage/fs/open_directory.ts");
    const top = Directory.open(Deno.realPathSync(dir.join("root")));
    {
      using d = top.enter("d", Deno.lstatSync(top.at("d")))!;
      const seen = Deno.lstatSync(d.at("file"));
      Deno.renameSync(dir.join("root/d"), dir.join("root/away"));
      Deno.symlinkSync("../outside", dir.join("root/d"));
      assertEquals(d.open("file", seen, RUNTIME), undefined);
      assertEquals(Deno.statSync(dir.join("root/d/file")).ino, seen.ino);
    }
    top.close();
  },
);

/** Runs a command that has to succeed. */
function succeed(command: string, ...args: string[]): void {
  const { success, stderr } = run(command, ...args);
  assert(success, `${command}: ${stderr}`);
}

const needs = ["mkfs.btrfs", "btrfs", "bindfs", "/dev/fuse", "/dev/loop-control"];
const bindfs = `FsStorage over bindfs over subvolumes of btrfs${notHeld}`;
testWithMount(bindfs, async () => {
  if (!HOLDS_DIRECTORIES) return;
  await using dir = new TempDir();
  const [image, below, root] = ["image", "below", "root"].map((name) => dir.join(name));
  for (const path of [below!, root!]) Deno.mkdirSync(path);
  Deno.writeFileSync(image!, new Uint8Array());
  Deno.truncateSync(image!, 128 * 1024 * 1024);
  await using cleanup = new AsyncDisposableStack();
  succeed("mkfs.btrfs", "-q", image!);
  succeed("mount", "-o", "loop", image!, below!);
  cleanup.defer(() => succeed("umount", "-l", below!));
  for (const twin of ["a", "b"]) succeed("btrfs", "subvolume", "create", `${below}/${twin}`);
  succeed("bindfs", below!, root!);
  cleanup.defer(() => succeed("umount", "-l", root!));
  const inodes = [root, `${root}/a`, `${root}/b`].map((path) => Deno.statSync(path!));
  assertEquals(new Set(inodes.map(({ dev, ino }) => `${dev}:${ino}`)).size, 1);
  assert(!fileSystemAt(root!).numbersFiles);
  assert(fileSystemAt(below!).numbersFiles);
  await using storage = FsStorage.open(root!, { durability: "none" });
  // A file cannot be renamed from one subvolume to another: what stands in them is made by others.
  for (const twin of ["a", "b"]) {
    Deno.mkdirSync(`${below}/${twin}/.ferry`);
    Deno.writeTextFileSync(`${below}/${twin}/only-${twin}`, twin);
    Deno.writeTextFileSync(`${below}/${twin}/.ferry/mine`, `mine in ${twin}`);
  }
  assertEquals(await listed(storage), [
    "a",
    "a/.ferry",
    "a/.ferry/mine",
    "a/only-a",
    "b",
    "b/.ferry",
    "b/.ferry/mine",
    "b/only-b",
  ]);
  // One is held while the other is asked for.
  const entries = storage.list(name("a"), { recursive: false });
  await entries.next();
  assertEquals(await textOf(storage, "b/only-b"), "b");
  await assertCode("not_found", () => textOf(storage, "b/only-a"));
  await storage.remove(name("b/only-b"), { recursive: false });
  await entries.return(undefined);
  assertEquals(await textOf(storage, "a/only-a"), "a");
  await storage.mkdir(name("b/made"));
  await assertCode("not_found", () => storage.stat(name("a/made")));
}, needs);

testWithMount("FsStorage hides its own directory where it is mounted as well", async () => {
  await using dir = new TempDir();
  const root = dir.join("root");
  for (const path of ["root/exposed", "root/.ferry"]) {
    Deno.mkdirSync(dir.join(path), { recursive: true });
  }
  succeed("mount", "--bind", `${root}/.ferry`, `${root}/exposed`);
  using mounted = new DisposableStack();
  mounted.defer(() => succeed("umount", "-l", `${root}/exposed`));
  await using storage = FsStorage.open(root);
  if (!storage.guarded) return;
  assertEquals(await listed(storage), []);
  for (const hidden of ["exposed", "exposed/staging", "exposed/lock"]) {
    await assertCode("not_found", () => storage.stat(name(hidden)));
  }
  await assertCode("not_found", () => put(storage, "exposed/new", "x"));
});
