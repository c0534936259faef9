import { RUNTIME } from "../../support/runtime.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { DIGESTS } from "../../support/digests.ts";
import { makeSure } from "../../../lib/files/read_back.ts";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import { KINDS, Mount, Mounted, OtherPath, testWithMount } from "../../support/mount.ts";
import { ferry, Ferryd, stagedIn, TempDir } from "../../support/programs.ts";
import { MIB } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

/** What a file system that says nothing may do to a file of 3 MiB: lose its end, or change what is in it. */
const LOSSES: Readonly<Record<string, (path: string) => void>> = {
  "2097152 of 3145728 bytes are there": (path) => Deno.truncateSync(path, 2 * MIB),
  "is there in place of": (path) => {
    using file = Deno.openSync(path, { write: true });
    file.seekSync(MIB, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array([0]));
  },
};

testWithMount("makeSure() finds what a file system in user space has lost", async () => {
  await using memory = new Mount("size=32m");
  await using user = new OtherPath(memory.path);
  assertEquals(await RUNTIME.fileSystems.reportsWriteErrors(memory.path), true);
  const bytes = new Uint8Array(3 * MIB).fill(1);
  const checksum = await DIGESTS.checksumOf("md5", bytes);
  const stage = async (directory: string) => {
    const staged = StagedFile.create(directory, RUNTIME);
    await staged.write(bytes);
    return staged;
  };
  for (const durable of [false, true]) {
    await using whole = await stage(user.path);
    await makeSure(whole, { checksum, durable });
    for (const [says, lose] of Object.entries(LOSSES)) {
      await using staged = await stage(user.path);
      lose(`${memory.path}/${staged.path.slice(user.path.length)}`);
      const error = await assertCode("io", () => makeSure(staged, { checksum, durable }));
      assertStringIncludes(error.message, says);
      // One that tells of each error need not be read again.
      await using honest = await stage(memory.path);
      lose(honest.path);
      await makeSure(honest, { checksum, durable });
    }
  }
}, ["bindfs"]);

testWithMount("nothing is acknowledged that is not on a full sshfs", async () => {
  await using mount = new Mounted("sshfs");
  await using disk = new Mount("size=4m", mount.store);
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root/tree"), { recursive: true });
  dir.write("root/large", new Uint8Array(6 * MIB).fill(1));
  dir.write("root/tree/a", new Uint8Array(MIB / 2).fill(2));
  dir.write("root/tree/b", new Uint8Array(6 * MIB).fill(3));
  const says = (op: string, name: string, side: string) => {
    return `ferry: Cannot ${op} "${name}": no space left on the device (on ${side})\n`;
  };
  {
    await using server = await Ferryd.start(mount.path, ["--durability", "none"]);
    const options = { cwd: dir.join("root"), server: server.address };
    const { code, stderr } = await ferry(["put", "large"], options);
    assertEquals([code, stderr], [5, says("put", "large", "the server")]);
    const tree = await ferry(["put", "tree"], options);
    assertEquals([tree.code, tree.stderr.includes(says("put", "tree/b", "the server"))], [5, true]);
    assertEquals(stagedIn(disk.path), []);
    assertEquals(Deno.statSync(`${disk.path}/tree/a`).size, MIB / 2);
    Deno.removeSync(`${mount.path}/tree`, { recursive: true });
  }
  Deno.removeSync(`${mount.path}/.ferry`, { recursive: true });
  await using server = await Ferryd.start(dir.join("root"));
  const options = { cwd: mount.path, server: server.address };
  for (const more of [[], ["--durability", "none"]]) {
    const { code, stderr } = await ferry(["get", "large", ...more], options);
    assertEquals([code, stderr], [5, says("get", "large", "this machine")]);
    const tree = await ferry(["get", "tree", ...more], options);
    assertEquals([tree.code, tree.stderr.includes('get "tree/b": no space')], [5, true]);
    assertEquals([...Deno.readDirSync(disk.path)].map(({ name }) => name), ["tree"]);
    assertEquals(Deno.statSync(`${disk.path}/tree/a`).size, MIB / 2);
    Deno.removeSync(`${mount.path}/tree`, { recursive: true });
  }
}, KINDS.sshfs.needs);
