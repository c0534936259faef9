/**
 * What is found out of a file system by trying it, and what ferryd says of it.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Directory } from "../../../../server/storage/fs/open_directory.ts";
import type { FileSystem } from "../../../../lib/file_system/file_system.ts";
import { tryFileSystem } from "../../../../server/storage/fs/file_system_trial.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { KINDS, Mount, Mounted, OtherPath, testWithMount } from "../../../support/mount.ts";
import type { FileName } from "../../../../lib/core/remote_name.ts";
import { ferry, Ferryd, TempDir } from "../../../support/programs.ts";

/** What is not kept, by its name. */
function lacks(fileSystem: FileSystem): string[] {
  return Object.entries(fileSystem).filter(([, kept]) => kept !== true && kept !== 1)
    .map(([what, kept]) => `${what} ${kept}`);
}

/** What a file system in user space is not known to keep. */
const FUSE = [
  "numbersFiles false",
  "honestWrites false",
  "atomicReplacement false",
  "durableNames false",
  "heldDirectories false",
];

function tried(path: string): string[] {
  using held = new DisposableStack();
  const directory = Directory.open(path);
  held.defer(() => directory.close());
  const found = lacks(tryFileSystem(directory));
  assertEquals([...Deno.readDirSync(path)], []);
  return found;
}

testWithMount("tryFileSystem() finds nothing missing in memory, and leaves nothing", async () => {
  await using mount = new Mount("size=1m");
  // One that was killed has left this.
  Deno.mkdirSync(`${mount.path}/trial/of/another`, { recursive: true });
  assertEquals(tried(mount.path), []);
});

testWithMount("tryFileSystem() relies on little of bindfs", async () => {
  await using dir = new TempDir();
  await using bound = new OtherPath(dir.path);
  assertEquals(tried(bound.path), FUSE);
}, ["bindfs", "/dev/fuse"]);

testWithMount("tryFileSystem() finds what exFAT in user space does not keep", async () => {
  await using mounted = new Mounted("exfat");
  const lost = ["modes false", "timeStep 1000", "hardLinks false", "caseSensitive false"];
  assertEquals(tried(mounted.path), [...FUSE, ...lost]);
}, KINDS.exfat.needs);

testWithMount(
  "ferryd and ferry ping say in a line each what cannot be promised over sshfs",
  async () => {
    await using mounted = new Mounted("sshfs");
    await using server = await Ferryd.start(mounted.path);
    const ping = await ferry(["ping"], { server: server.address });
    const said = (await server.stop()).stderr.split("\n");
    // Sockets are refused there.
    const [admin, ...rest] = said.filter((line) => line.includes("[WRN]"));
    assertStringIncludes(admin ?? "", "Give it an --admin-socket");
    assertEquals(rest, []);
    const stderr = said.filter((line) => line !== admin).join("\n");
    assertEquals(
      ping.stderr.replaceAll("ferry:", "ferryd:").replaceAll(" (on the server)", ""),
      stderr,
    );
    assertEquals(stderr.split("\n"), [
      "ferryd: directories cannot be held open here: a link that another program swaps in during a request may be followed",
      "ferryd: names may be lost here when the power fails: nothing makes sure that they are on the disk",
      "ferryd: a file that is replaced here may be missing for a moment",
      "ferryd: modification times are kept in steps of 1 s here",
      "",
    ]);
  },
  KINDS.sshfs.needs,
);

testWithMount(
  "ferryd serves mounts of object stores for reading only, and says what is better",
  async () => {
    for (const kind of ["rclone", "rcloneCached"] as const) {
      await using mounted = new Mounted(kind);
      Deno.writeTextFileSync(`${mounted.path}/file`, "content");
      await using storage = FsStorage.open(mounted.path, { durability: "none" });
      assertEquals(storage.unwritable?.code, "denied");
      const [first] = storage.shortcomings;
      assertStringIncludes(
        first!,
        "nothing can be uploaded here: it is a mount of an object store",
      );
      assertStringIncludes(first!, "--root s3://BUCKET");
      assertEquals((await storage.stat("file" as FileName)).size, 7);
    }
  },
  KINDS.rclone.needs,
);

testWithMount("a root where directories are not held is not guarded", async () => {
  await using dir = new TempDir();
  await using bound = new OtherPath(dir.path);
  await using storage = FsStorage.open(bound.path, { durability: "none" });
  assert(!storage.guarded);
  assert(!storage.fileSystem.heldDirectories);
}, ["bindfs", "/dev/fuse"]);

testWithMount(
  "ferryd over a file system for reading says so, and serves what is there",
  async () => {
    await using mount = new Mount("size=1m");
    await using dir = new TempDir();
    Deno.writeTextFileSync(`${mount.path}/file`, "content");
    dir.write("new", "new");
    mount.makeReadOnly();
    await using server = await Ferryd.start(mount.path);
    const options = { cwd: dir.path, server: server.address };
    assertEquals((await ferry(["cat", "file"], options)).stdout, "content");
    const put = await ferry(["put", "new"], options);
    assertEquals([put.code, put.stderr], [
      3,
      `ferry: Cannot put "new": the server's directory is read-only (on the server)\n`,
    ]);
    const { stderr } = await server.stop();
    // What follows is the log.
    const [line] = stderr.split("\n");
    assertEquals(line, "ferryd: nothing can be uploaded here: the server's directory is read-only");
  },
);
