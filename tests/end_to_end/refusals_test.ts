/**
 * How ferry behaves where the file system refuses operations on metadata: flushes of directories, times, permission
 * bits.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { KINDS, Mounted, testWithMount } from "../support/mount.ts";
import { ferry, Ferryd, TempDir } from "../support/programs.ts";
import { refusing, testRefusals } from "../support/refused_calls.ts";

testRefusals("ferryd does what it is asked for where no directory can be flushed", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  dir.write("root/old", "old");
  dir.write("file", "content");
  // Only directories are affected: files are flushed by fdatasync(2).
  const launch = refusing(["fsync"], "EINVAL");
  await using server = await Ferryd.start(dir.join("root"), [], { launch });
  const options = { cwd: dir.path, server: server.address };
  for (
    const args of [
      ["put", "file", "--as", "new/file"],
      ["mkdir", "empty/below"],
      ["mv", "old", "new/old"],
      ["rm", "new/old"],
    ]
  ) {
    const { code, stderr } = await ferry(args, options);
    assertEquals([args, code, stderr], [args, 0, ""]);
  }
  assertEquals(Deno.readTextFileSync(dir.join("root/new/file")), "content");
});

testRefusals("ferry get stores files where no directory can be flushed", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root/d"), { recursive: true });
  dir.write("root/d/file", "content");
  await using server = await Ferryd.start(dir.join("root"));
  const launch = refusing(["fsync"], "EINVAL");
  const options = { cwd: dir.path, server: server.address, launch };
  for (const args of [["get", "d/file", "--out", "a/b"], ["get", "d", "-q"]]) {
    const { code, stderr } = await ferry(args, options);
    assertEquals([args, code, stderr], [args, 0, ""]);
  }
  for (const path of ["a/b", "d/file"]) {
    assertEquals(Deno.readTextFileSync(dir.join(path)), "content");
  }
});

testRefusals("ferryd says so where a directory cannot be flushed for another reason", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  dir.write("file", "content");
  const launch = refusing(["fsync"], "EIO");
  await using server = await Ferryd.start(dir.join("root"), [], { launch });
  const { code, stderr } = await ferry(["put", "file"], { cwd: dir.path, server: server.address });
  assertEquals(code, 1);
  assertEquals(stderr.includes("(os error 5)"), true, stderr);
});

const CHMOD = ["chmod", "fchmod", "fchmodat", "fchmodat2"];
const UTIME = ["utimensat", "futimesat", "utime", "utimes"];

/** A root and a working directory, each with a directory `d` of two files with different names. */
function twoTrees(dir: TempDir): void {
  for (const tree of ["root/d", "d"]) {
    Deno.mkdirSync(dir.join(tree), { recursive: true });
    for (const name of ["a", "b"]) {
      const path = dir.write(`${tree}/${tree === "d" ? "up" : "down"}-${name}`, name);
      Deno.utimeSync(path, 1_234_567_890.5, 1_234_567_890.5);
    }
  }
}

const REFUSED = [
  ["modification times", UTIME, "modification time"],
  ["permission bits", CHMOD, "permission bits"],
] as const;

for (const [what, calls, named] of REFUSED) {
  testRefusals(
    `ferry put where the server cannot set ${what}: a warning, with -p an error`,
    async () => {
      await using dir = new TempDir();
      twoTrees(dir);
      const launch = refusing(calls, "EPERM");
      await using server = await Ferryd.start(dir.join("root"), [], { launch });
      const options = { cwd: dir.path, server: server.address };
      const plain = await ferry(["put", "d"], options);
      assertEquals(plain, {
        code: 0,
        stdout: plain.stdout,
        stderr: `ferry: ${what} are not kept (on the server)\n` +
          "ferry: 2 transferred (2 B), 0 unchanged\n",
      });
      const kept = await ferry(["put", "-p", "d", "--as", "e"], options);
      const failed = ["a", "b"].map((name) =>
        `ferry: Cannot put "d/up-${name}": the file system does not keep its ${named} (on the server, "e/up-${name}")\n`
      );
      assertEquals([kept.code, kept.stderr], [
        1,
        `${failed.join("")}ferry: 0 transferred (0 B), 0 unchanged, 2 failed\n`,
      ]);
      const json = await ferry([
        "put",
        "d/up-a",
        "--as",
        "single",
        "--json",
        "--overwrite",
        "newer",
      ], options);
      const [{ event, unkept }] = json.stdout.trim().split("\n").map((line) => JSON.parse(line));
      assertEquals([event, unkept], ["done", [what === "permission bits" ? "mode" : "mtime"]]);
    },
  );
}

testRefusals("ferry get where no times can be set: a warning, with -p an error", async () => {
  await using dir = new TempDir();
  twoTrees(dir);
  await using server = await Ferryd.start(dir.join("root"));
  const options = { cwd: dir.path, server: server.address, launch: refusing(UTIME, "EPERM") };
  // The files to be sent have the content of those that are here.
  const { code, stderr } = await ferry(["get", "d", "--no-delta"], options);
  assertEquals([code, stderr], [
    0,
    "ferry: modification times are not kept (on this machine)\n" +
    "ferry: 2 transferred (2 B), 0 unchanged\n",
  ]);
  const single = await ferry(["get", "-p", "d/down-a"], options);
  assertEquals([single.code, single.stderr], [
    1,
    'ferry: Cannot get "d/down-a": the file system does not keep its modification time (on this machine, "down-a")\n',
  ]);
});

testRefusals("ferry get -p where no permission bits can be set fails, file by file", async () => {
  await using dir = new TempDir();
  twoTrees(dir);
  await using server = await Ferryd.start(dir.join("root"));
  const options = { cwd: dir.path, server: server.address, launch: refusing(CHMOD, "EPERM") };
  const { code, stderr } = await ferry(["get", "-p", "d", "--out", "e"], options);
  const failed = ["a", "b"].map((name) =>
    `ferry: Cannot get "d/down-${name}": the file system does not keep its permission bits (on this machine, "e/down-${name}")\n`
  );
  assertEquals([code, stderr], [
    1,
    `${failed.join("")}ferry: 0 transferred (0 B), 0 unchanged, 2 failed\n`,
  ]);
  const plain = await ferry(["get", "d", "-q"], options);
  assertEquals([plain.code, plain.stderr], [0, ""]);
});

testWithMount("--overwrite newer moves nothing again where times are whole seconds", async () => {
  await using dir = new TempDir();
  twoTrees(dir);
  await using mounted = new Mounted("sshfs");
  await using there = await Ferryd.start(mounted.path);
  const put = () =>
    ferry(["put", "d", "--overwrite", "newer"], { cwd: dir.path, server: there.address });
  const warning = "ferry: modification times are kept in steps of a second or two only";
  assertEquals(
    (await put()).stderr,
    `${warning} (on the server)\nferry: 2 transferred (2 B), 0 unchanged\n`,
  );
  assertEquals((await put()).stderr, "ferry: 0 transferred (0 B), 2 unchanged\n");
  await using here = await Ferryd.start(dir.join("root"));
  const get = () =>
    ferry(["get", "d", "--overwrite", "newer", "--out", `${mounted.path}/down`], {
      server: here.address,
    });
  assertEquals(
    (await get()).stderr,
    `${warning} (on this machine)\nferry: 2 transferred (2 B), 0 unchanged\n`,
  );
  assertEquals((await get()).stderr, "ferry: 0 transferred (0 B), 2 unchanged\n");
  // A file that is newer all the same is transferred.
  dir.write("root/d/down-a", "other");
  Deno.utimeSync(dir.join("root/d/down-a"), 1_234_567_890.7, 1_234_567_890.7);
  await get();
  assertEquals(Deno.readTextFileSync(`${mounted.path}/down/down-a`), "other");
}, KINDS.sshfs.needs);

testWithMount("-p fails where permission bits are silently not kept", async () => {
  await using dir = new TempDir();
  twoTrees(dir);
  await using mounted = new Mounted("exfat");
  await using there = await Ferryd.start(mounted.path);
  const put = await ferry(["put", "-p", "d/up-a"], { cwd: dir.path, server: there.address });
  assertEquals([put.code, put.stderr], [
    1,
    'ferry: Cannot put "d/up-a": the file system does not keep its permission bits (on the server, "up-a")\n',
  ]);
  await using here = await Ferryd.start(dir.join("root"));
  const get = await ferry(["get", "-p", "d/down-a", "--out", `${mounted.path}/down`], {
    server: here.address,
  });
  assertEquals([get.code, get.stderr.replace(mounted.path, "")], [
    1,
    'ferry: Cannot get "d/down-a": the file system does not keep its permission bits (on this machine, "/down")\n',
  ]);
  assertEquals([...Deno.readDirSync(mounted.path)].map(({ name }) => name), [".ferry"]);
}, KINDS.exfat.needs);
