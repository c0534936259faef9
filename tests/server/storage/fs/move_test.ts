/**
 * `Storage.move()` from one file system to another. What it does on one, `storage_conformance.ts` shows.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { StagedFile } from "../../../../lib/files/staged_file.ts";
import { Bordered, BORDERS } from "../../../support/borders.ts";
import { run, testWithMount } from "../../../support/mount.ts";
import { ferry, Ferryd, filesBelow } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { listed, put, textOf } from "../../../support/stored_files.ts";

const TIME = 1_600_000_000_000;
const memory = BORDERS["a file system in memory"]!.make;

/** All below a directory, with what can be kept of it; without ferry's own. */
function seen(path: string): Record<string, string> {
  const all: Record<string, string> = {};
  const look = (path: string, name: string) => {
    const info = Deno.lstatSync(path);
    const facts = [(info.mode! & 0o7777).toString(8), info.uid, info.mtime!.getTime()];
    if (info.isDirectory) {
      all[name] = `directory ${facts}`;
      for (const child of Deno.readDirSync(path)) {
        look(`${path}/${child.name}`, `${name}/${child.name}`);
      }
    } else if (info.isSymlink) all[name] = `link to ${Deno.readLinkSync(path)}`;
    else all[name] = `file ${facts} ${info.isFile && md5(Deno.readFileSync(path))}`;
  };
  look(path, "");
  return all;
}

/** A tree of everything that can be moved. */
function grow(path: string): void {
  Deno.mkdirSync(`${path}/sub/empty`, { recursive: true });
  Deno.writeFileSync(`${path}/large`, new Uint8Array(3_000_000).fill(7));
  Deno.writeTextFileSync(`${path}/sub/small`, "small");
  Deno.writeTextFileSync(`${path}/none`, "");
  Deno.symlinkSync("sub/small", `${path}/link`);
  Deno.symlinkSync("nowhere", `${path}/sub/dangling`);
  Deno.chmodSync(`${path}/large`, 0o640);
  Deno.chmodSync(`${path}/sub/small`, 0o755);
  if (Deno.uid() === 0) Deno.chownSync(`${path}/none`, 1234, 1234);
  for (const [at, name] of ["large", "sub/small", "none", "sub/empty", "sub", ""].entries()) {
    Deno.utimeSync(`${path}/${name}`, TIME / 1000, TIME / 1000 + at);
  }
}

for (const [where, { make, needs }] of Object.entries(BORDERS)) {
  testWithMount(
    `FsStorage.move() to and from ${where} copies, and keeps what there is`,
    async () => {
      await using b = await Bordered.make(make);
      grow(b.path("near/tree"));
      const before = seen(b.path("near/tree"));
      const names = [["near/tree", "far/new/tree"], ["far/new/tree", "near/back"]] as const;
      for (const [from, to] of names) {
        await b.storage.move(name(from), name(to), { replace: false });
        assertEquals(seen(b.path(to)), before);
        await assertCode("not_found", () => b.storage.stat(name(from)));
      }
      for (const replace of [false, true]) {
        const to = replace ? "far/file" : "far/new/file";
        await put(b.storage, "near/file", "new", { mtime: TIME, mode: 0o600 });
        if (replace) await put(b.storage, to, "old");
        await b.storage.move(name("near/file"), name(to), { replace });
        const { mtime, mode } = await b.storage.stat(name(to));
        assertEquals([await textOf(b.storage, to), mtime, mode], ["new", TIME, 0o600]);
      }
      await b.storage.move(name("near/back/link"), name("far/link"), { replace: false });
      assertEquals(Deno.readLinkSync(b.path("far/link")), "sub/small");
      assertEquals(filesBelow(b.path("near")).sort(), [
        "back/large",
        "back/none",
        "back/sub/dangling",
        "back/sub/small",
      ]);
    },
    needs,
  );
}

testWithMount(
  "FsStorage.move() to another file system refuses what it cannot do before it copies",
  async () => {
    await using b = await Bordered.make((_, mounts, root) => {
      mounts.tmpfs(`${root}/far`, "size=2m").bind(`${root}/near`, `${root}/again`);
    });
    const { storage } = b;
    grow(b.path("near/tree"));
    await put(storage, "near/file", "near");
    await put(storage, "far/file", "far");
    await storage.mkdir(name("far/directory"));
    await storage.mkdir(name("near/strange"));
    assert(run("mkfifo", b.path("near/strange/pipe")).success);
    const before = seen(b.path("near"));
    const move = (from: string, to: string, replace = false) =>
      assertCode(["exists", "not_a_file", "no_space", "denied"], () => {
        return storage.move(name(from), name(to), { replace });
      });
    assertEquals((await move("near/file", "far/file")).code, "exists");
    assertEquals((await move("near/tree/sub", "far/directory", true)).code, "exists");
    assertEquals((await move("near/file", "far/directory", true)).code, "not_a_file");
    assertEquals((await move("near/file", "far/file/below")).code, "not_a_file");
    assertEquals((await move("near/tree", "far/tree")).code, "no_space");
    assertEquals((await move("near/file", "again/file", true)).code, "exists");
    const strange = await move("near/strange", "far/strange");
    assertEquals(
      strange.message,
      '"near/strange/pipe" cannot be copied: pipes, sockets and devices stay where they are',
    );
    assertEquals((await move("far", "near/far")).code, "denied");
    assertEquals(seen(b.path("near")), before);
    assertEquals(await listed(storage, "far"), ["far/directory", "far/file"]);
    assertEquals(await textOf(storage, "far/file"), "far");
  },
);

testWithMount("FsStorage.move() that is ended while it copies leaves all as it was", async () => {
  await using b = await Bordered.make(memory);
  grow(b.path("near/tree"));
  const before = seen(b.path("near"));
  const ended = new AbortController();
  const { write } = StagedFile.prototype;
  using restore = new DisposableStack();
  restore.defer(() => void (StagedFile.prototype.write = write));
  StagedFile.prototype.write = function (bytes) {
    ended.abort(new FerryError("auth_required", "enough"));
    return write.call(this, bytes);
  };
  const options = { replace: false, signal: ended.signal };
  await assertCode("auth_required", () => {
    return b.storage.move(name("near/tree"), name("far/tree"), options);
  });
  assertEquals(seen(b.path("near")), before);
  assertEquals(await listed(b.storage, "far"), []);
  assertEquals(filesBelow(b.path("far")), []);
  restore.dispose();
  await b.storage.move(name("near/tree"), name("far/tree"), { replace: false });
  assertEquals(await listed(b.storage, "near"), []);
});

testWithMount(
  "FsStorage.move() to another file system leaves what changed meanwhile, and says so",
  async () => {
    await using b = await Bordered.make(memory);
    grow(b.path("near/tree"));
    // When all is copied, and nothing is removed yet.
    const assertMay = () => {
      if (!filesBelow(b.path("far")).some((path) => path.endsWith("/sub/small"))) return;
      Deno.writeTextFileSync(b.path("near/tree/sub/small"), "changed");
      Deno.writeTextFileSync(b.path("near/tree/added"), "added");
    };
    const { message } = await assertCode("io", () => {
      return b.storage.move(name("near/tree"), name("far/tree"), { replace: false, assertMay });
    });
    assertEquals(
      message,
      'all was copied, but "near/tree/sub/small" stays, too: it has changed since it was copied',
    );
    assertEquals(filesBelow(b.path("near")).sort(), ["tree/added", "tree/sub/small"]);
    assertEquals(await textOf(b.storage, "far/tree/sub/small"), "small");
  },
);

testWithMount("FsStorage.move() to another file system takes nothing from the quota", async () => {
  await using b = await Bordered.make(memory, { durability: "none", quota: 1000 });
  const bytes = new Uint8Array(600);
  await put(b.storage, "near/a", bytes);
  await b.storage.move(name("near/a"), name("far/a"), { replace: false });
  await assertCode("quota", () => put(b.storage, "near/b", bytes));
  await put(b.storage, "near/c", new Uint8Array(300));
  await b.storage.move(name("near/c"), name("far/a"), { replace: true });
  await put(b.storage, "near/b", bytes);
});

testWithMount(
  "FsStorage.move() with keep to another file system needs room in the quota, and replaces nothing",
  async () => {
    await using b = await Bordered.make(memory, { durability: "none", quota: 1000 });
    const keep = { replace: true, keep: true };
    await put(b.storage, "near/a", new Uint8Array(400));
    await b.storage.move(name("near/a"), name("far/a"), keep);
    await assertCode("quota", () => b.storage.move(name("near/a"), name("far/b"), keep));
    assertEquals(await listed(b.storage, "far"), ["far/a"]);
    await put(b.storage, "near/c", new Uint8Array(200).fill(1));
    await assertCode("quota", () => put(b.storage, "near/d", "x"));
    await assertCode("exists", () => b.storage.move(name("near/c"), name("far/a"), keep));
    await b.storage.remove(name("near/a"), { recursive: false });
    await put(b.storage, "near/d", new Uint8Array(400));
    assertEquals(await b.storage.checksum(name("far/a"), "md5"), md5(new Uint8Array(400)));
  },
);

testWithMount(
  "ferry mv to another file system goes on when ferryd was killed in its middle",
  async () => {
    await using b = await Bordered.make(memory, { durability: "full" });
    await b.storage[Symbol.asyncDispose]();
    Deno.mkdirSync(b.path("near/tree"));
    for (const file of ["a", "b"]) {
      Deno.writeFileSync(
        b.path(`near/tree/${file}`),
        new Uint8Array(20_000_000).fill(file.charCodeAt(0)),
      );
    }
    const before = seen(b.path("near"));
    const server = await Ferryd.start(b.root);
    await using _server = server;
    const moving = ferry(["mv", "near/tree", "far/tree", "--retries", "0"], {
      server: server.address,
    });
    while (filesBelow(b.path("far")).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await server.stop("SIGKILL");
    assertEquals((await moving).code, 6);
    assertEquals(seen(b.path("near")), before);
    assertEquals([...Deno.readDirSync(b.path("far"))].map(({ name }) => name), [".ferry-staging"]);
    await using again = await Ferryd.start(b.root);
    assertEquals(filesBelow(b.path("far")), [], "what was left is there still");
    const ask = (...args: string[]) => ferry(args, { server: again.address });
    const moved = await ask("mv", "near/tree", "far/tree");
    assertEquals([moved.code, moved.stderr], [0, ""]);
    const twice = await ask("mv", "near/tree", "far/tree");
    assertEquals(twice.code, 4);
    assertStringIncludes(twice.stderr, '"near/tree"');
    const { stdout } = await ask("ls", "--recursive");
    assertMatch(stdout, /far\/tree\/a/);
    assert(!stdout.includes(".ferry"), stdout);
  },
);
