/**
 * What becomes of a server whose directory is renamed, removed, unmounted or mounted over.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { connect, serve } from "../../../../mod.ts";
import { ParentDirectories } from "../../../../server/storage/fs/parent_directories.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { Mounts, run, testWithMount } from "../../../support/mount.ts";
import { ferry, Ferryd, TempDir } from "../../../support/programs.ts";
import { OPERATIONS } from "../../../support/storage_operations.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import {
  begin,
  keepPartial,
  listed,
  prefixOf,
  put,
  resume,
  textOf,
} from "../../../support/stored_files.ts";

/** A directory with a root in it that has `file` and `d/file`. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly away = this.dir.join("away");
  readonly told: string[] = [];
  readonly storage: FsStorage;

  constructor() {
    for (const path of ["root/file", "root/d/file"]) {
      Deno.mkdirSync(this.dir.join("root/d"), { recursive: true });
      this.dir.write(path, path);
    }
    const onRoot = (state: "lost" | "back") => void this.told.push(state);
    this.storage = FsStorage.open(this.root, { onRoot, links: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** All that is in a directory, with what is in the files, those of the index aside. */
function seen(path: string): string[] {
  return [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) => {
    const at = `${path}/${name}`;
    if (name.startsWith("index.db")) return [];
    return isDirectory ? [at, ...seen(at)] : [`${at} ${Deno.readTextFileSync(at)}`];
  }).sort();
}

/** How a root gets lost, and how it comes back. */
const LOSSES: Readonly<Record<string, readonly [(f: Fixture) => void, (f: Fixture) => void]>> = {
  "that was renamed": [
    (f) => Deno.renameSync(f.root, f.away),
    (f) => Deno.renameSync(f.away, f.root),
  ],
  "in whose place another one is": [
    (f) => {
      Deno.renameSync(f.root, f.away);
      Deno.mkdirSync(f.root);
    },
    (f) => {
      Deno.removeSync(f.root);
      Deno.renameSync(f.away, f.root);
    },
  ],
};

for (const [how, [lose, bringBack]] of Object.entries(LOSSES)) {
  Deno.test(`FsStorage over a root ${how} does nothing, says why, and goes on when it is back`, async () => {
    await using f = new Fixture();
    // What is known of the directories does not help.
    await put(f.storage, "d/known", "x");
    lose(f);
    const before = seen(f.away);
    const messages = new Set<string>();
    for (const [operation, run] of Object.entries(OPERATIONS)) {
      const { message } = await assertCode("io", () => run(f.storage)).catch((error) => {
        throw new Error(`${operation}: ${error.message}`);
      });
      messages.add(message);
    }
    assertEquals(messages.size, 1, "one message for all");
    for (const message of messages) {
      assertStringIncludes(message, "the server's directory");
      assert(!message.includes(f.dir.path), message);
    }
    assertEquals(seen(f.away), before);
    bringBack(f);
    assertEquals(await textOf(f.storage, "d/known"), "x");
    await put(f.storage, "new", "x");
    assertEquals(f.told, ["lost", "back"]);
  });
}

Deno.test("FsStorage acknowledges no upload into a root that was renamed", async () => {
  await using f = new Fixture();
  await using written = await begin(f.storage, "written", "x");
  await using begun = await f.storage.create(name("begun"), { size: 2 });
  await begun.write(new Uint8Array(1));
  await keepPartial(f.storage, "part", new Uint8Array(9_000_000), 5_000_000);
  const entries = f.storage.list("", { recursive: true });
  await entries.next();
  Deno.renameSync(f.root, f.away);
  await assertCode("io", () => begun.write(new Uint8Array(1)));
  await assertCode("io", () => written.commit({ checksum: md5("x"), replace: true }));
  assertEquals([...Deno.readDirSync(f.away)].map(({ name }) => name).sort(), [
    ".ferry",
    "d",
    "file",
  ]);
  await entries.return(undefined);
  Deno.renameSync(f.away, f.root);
  await using resumed = await resume(f.storage, "part", { size: 9_000_000, algorithm: "md5" });
  assertEquals((await resumed?.prefix?.facts())?.size, 5_000_000);
});

Deno.test("FsStorage acknowledges nothing that it did while its root was being renamed", async () => {
  await using f = new Fixture();
  await using pending = await begin(f.storage, "new", "x");
  // As soon as the file has its name.
  const real = ParentDirectories.prototype.assertStanding;
  using restore = new DisposableStack();
  restore.defer(() => void (ParentDirectories.prototype.assertStanding = real));
  ParentDirectories.prototype.assertStanding = function () {
    Deno.renameSync(f.root, f.away);
    real.call(this);
  };
  await assertCode("io", () => pending.commit({ checksum: md5("x"), replace: true }));
  Deno.renameSync(f.away, f.root);
});

testWithMount(
  "FsStorage over a root that was unmounted goes on when it is mounted again",
  async () => {
    await using dir = new TempDir();
    const f = { root: dir.join("root"), away: dir.join("away") };
    for (const path of [`${f.root}/d`, f.away]) Deno.mkdirSync(path, { recursive: true });
    const mount = () => assert(run("mount", "--bind", f.root, f.away).success);
    mount();
    try {
      const told: string[] = [];
      await using storage = FsStorage.open(f.away, { onRoot: (state) => told.push(state) });
      await using pending = await begin(storage, "d/early", "x");
      for (let round = 0; round < 2; round++) {
        assert(run("umount", "-l", f.away).success);
        await assertCode("io", () => put(storage, "d/new", "x"));
        assertEquals([...Deno.readDirSync(f.away)], [], "it was written into the mount point");
        mount();
        await put(storage, `d/new-${round}`, "x");
        await storage.move(name(`d/new-${round}`), name(`moved-${round}`), { replace: false });
        assertEquals(Deno.readTextFileSync(`${f.root}/moved-${round}`), "x");
      }
      // What was under way by the old mount comes to an end, one way or the other, and is not acknowledged in vain.
      const committed = await pending.commit({ checksum: md5("x"), replace: false })
        .then(() => true, () => false);
      assertEquals(await storage.find(name("d/early")) !== undefined, committed);
      assertEquals(told, ["lost", "back", "lost", "back"]);
    } finally {
      run("umount", "-l", f.away);
    }
  },
);

Deno.test("ferryd whose root was renamed says so in the log and to ferry ping", async () => {
  await using dir = new TempDir();
  const [root, away] = [dir.join("root"), dir.join("away")];
  Deno.mkdirSync(root);
  const server = await Ferryd.start(root);
  await using _server = server;
  const ask = (...args: string[]) => ferry([...args, "--retries", "0"], { server: server.address });
  assertEquals((await ask("ping")).code, 0);
  Deno.renameSync(root, away);
  const ping = await ask("ping");
  assertEquals([ping.code, ping.stdout], [1, ""]);
  assertMatch(ping.stderr, /^ferry: The server answers, but cannot serve: the server's directory/);
  const ls = await ask("ls");
  assertEquals(ls.code, 1);
  assertStringIncludes(ls.stderr, "the server's directory is not where it was");
  Deno.renameSync(away, root);
  assertEquals((await ask("ping")).code, 0);
  const { stderr } = await server.stop();
  assertEquals(stderr.match(/Nothing is served until it is back/g)?.length, 1);
  assertEquals(stderr.match(/files are served again/g)?.length, 1);
});

Deno.test("Client.ping() tells what keeps a server from serving", async () => {
  await using f = new Fixture();
  await using server = await serve({ storage: f.storage, listen: "127.0.0.1:0" });
  await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`, { retries: 0 });
  assertEquals((await client.ping()).problem, undefined);
  Deno.renameSync(f.root, f.away);
  assertStringIncludes((await client.ping()).problem!, "the server's directory");
  Deno.renameSync(f.away, f.root);
  assertEquals((await client.ping()).problem, undefined);
});

testWithMount(
  "FsStorage serves nothing where a file system below its root is gone, and goes on",
  async () => {
    await using dir = new TempDir();
    await using mounts = new Mounts();
    const far = dir.join("root/far");
    mounts.tmpfs(far);
    Deno.mkdirSync(dir.join("root/near"));
    dir.write("root/far/file", "far");
    const told: string[] = [];
    await using storage = FsStorage.open(dir.join("root"), {
      durability: "none",
      onMount: (state, path) => told.push(`${state} ${path}`),
    });
    assertEquals(await textOf(storage, "far/file"), "far");
    for (let round = 0; round < 2; round++) {
      mounts.unmount(far);
      const messages = new Set<string>();
      for (
        const ask of [
          () => storage.stat(name("far/file")),
          () => storage.find(name("far/file")),
          () => listed(storage, "far"),
          () => listed(storage),
          () => put(storage, "far/new", "x"),
          () => put(storage, "far/new/deep", "x", { replace: true }),
          () => storage.mkdir(name("far/d")),
          () => storage.remove(name("far/file"), { recursive: false }),
          () => storage.remove(name("far"), { recursive: true }),
          () => storage.move(name("far/file"), name("near/file"), { replace: false }),
          () => storage.move(name("far"), name("elsewhere"), { replace: false }),
          () => storage.open(name("far/file"), "md5"),
        ]
      ) messages.add((await assertCode("io", ask)).reason.replace(/^"far" stays: /, ""));
      assertEquals(messages.size, 1, [...messages].join("\n"));
      assertEquals([...Deno.readDirSync(far)], [], "something was written into the mount point");
      await put(storage, "near/file", "x", { replace: true });
      mounts.tmpfs(far);
      await put(storage, "far/file", "again");
      assertEquals(await textOf(storage, "far/file"), "again");
    }
    assertEquals(told, ["lost", "back", "lost", "back"].map((state) => `${state} ${far}`));
  },
);

testWithMount("FsStorage says of a part that its file system is not mounted any more", async () => {
  await using dir = new TempDir();
  await using mounts = new Mounts();
  const far = dir.join("root/far");
  mounts.tmpfs(far);
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using pending = await storage.partialUploads.create(name("far/file"), { size: 6 });
  await pending.write(new TextEncoder().encode("a part"));
  mounts.unmount(far);
  const prefix = await prefixOf(new TextEncoder().encode("a part"));
  const { reason } = await assertCode("io", () => pending.checkpoint(prefix));
  assertMatch(reason, /is not mounted any more/);
});

testWithMount(
  "FsStorage takes a directory that was made in the place of a subvolume for what it is",
  async () => {
    await using dir = new TempDir();
    await using mounts = new Mounts();
    mounts.image(dir.join("image"), dir.join("root"), "mkfs.btrfs", "-q");
    assert(run("btrfs", "subvolume", "create", dir.join("root/far")).success);
    await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
    await put(storage, "far/file", "x");
    assert(run("btrfs", "subvolume", "delete", dir.join("root/far")).success);
    await put(storage, "far/file", "y");
    assertEquals(await textOf(storage, "far/file"), "y");
  },
  ["mkfs.btrfs", "/dev/loop-control"],
);

testWithMount("ferryd and ferry name a file system whose program has ended", async () => {
  await using dir = new TempDir();
  await using mounts = new Mounts();
  const [server, local] = [dir.join("root/far"), dir.join("local")];
  for (const path of [server, local]) {
    mounts.bindfs(dir.join("below"), path);
    Deno.writeTextFileSync(`${path}/file`, "x");
  }
  await using ferryd = await Ferryd.start(dir.join("root"));
  const ask = (...args: string[]) => ferry([...args, "--retries", "0"], { server: ferryd.address });
  assertEquals((await ask("stat", "far/file")).code, 0);
  for (const path of [server, local]) {
    assert(run("pkill", "-KILL", "-f", `bindfs .*${path}$`).success);
    while (run("stat", path).success) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (
    const [place, args] of [
      ["on the server", ["stat", "far/file"]],
      ["on the server", ["ls", "far"]],
      ["on the server", ["get", "far/file", "--out", dir.join("x")]],
      ["on the server", ["put", dir.join("image"), "--to", "far"]],
      ["on this machine", ["put", `${local}/file`]],
      ["on this machine", ["put", local]],
      ["on this machine", ["get", "near", "--out", `${local}/near`]],
    ] as const
  ) {
    dir.write("image", "x");
    dir.write("root/near", "x");
    const { code, stderr } = await ask(...args);
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, place);
    assertMatch(stderr, /program that serves it has ended/);
  }
  const { stderr } = await ferryd.stop();
  assertEquals(stderr.match(/far is gone/g)?.length, 1, stderr);
}, ["bindfs", "/dev/fuse", "pkill"]);
