import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { PLATFORM } from "../../../../lib/core/platform.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { StagingArea } from "../../../../server/storage/fs/staging_area.ts";
import type { StagedTree } from "../../../../server/storage/staged_trees.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { namesIn } from "../../../support/directories.ts";
import { Fixture } from "../../../support/fs_storage.ts";
import { TempDir } from "../../../support/programs.ts";
import {
  bytesOf,
  keepPartial,
  listed,
  partials,
  put,
  resume,
  textOf,
} from "../../../support/stored_files.ts";

const OWNER = { owner: "" };
const ignore = !PLATFORM.permissionBits;

function begin(storage: FsStorage, directory: string): Promise<StagedTree> {
  return storage.stagedTrees.begin(name(directory), OWNER);
}

async function stage(tree: StagedTree, filename: string, text: string): Promise<void> {
  await using write = await tree.create(name(filename), { size: text.length });
  await write.write(bytesOf(text));
  await write.commit({ checksum: md5(text), replace: true });
}

/** The directory of the only staged tree of a root. */
function treeIn(root: string): string {
  const staging = `${root}/.ferry/staging`;
  for (const area of namesIn(staging)) {
    const [tree] = namesIn(`${staging}/${area}`).filter((name) => name.endsWith(".tree"));
    if (tree) return `${staging}/${area}/${tree}`;
  }
  throw new Error("there is no staged tree");
}

/** Changes the record of a staged tree. */
function rerecord(tree: string, change: object): void {
  const record = JSON.parse(Deno.readTextFileSync(`${tree}/record.json`));
  Deno.writeTextFileSync(`${tree}/record.json`, JSON.stringify({ ...record, ...change }));
}

/** A root in which `d` is old, and a new `d` is staged. */
async function staged(): Promise<Fixture> {
  const f = new Fixture();
  await put(f.storage, "d/a", "old");
  await using tree = await begin(f.storage, "d");
  await stage(tree, "d/a", "new");
  return f;
}

Deno.test("a publication that was cut between its two renames is finished", async () => {
  await using f = await staged();
  await f.reopen(() => {
    const tree = treeIn(f.root);
    rerecord(tree, { publishing: true, durable: true, boot: 0 });
    Deno.renameSync(f.path("d"), `${tree}/old`);
  });
  assertEquals(await listed(f.storage), ["d", "d/a"]);
  assertEquals(await textOf(f.storage, "d/a"), "new");
  assertEquals(await f.leftovers(), []);
});

Deno.test("without flushing, the old directory comes back after the machine was started anew", async () => {
  await using f = await staged();
  await f.reopen(() => {
    const tree = treeIn(f.root);
    rerecord(tree, { publishing: true, durable: false, boot: 0 });
    Deno.renameSync(f.path("d"), `${tree}/old`);
  });
  assertEquals(await textOf(f.storage, "d/a"), "old");
  assertEquals(await f.leftovers(), []);
});

Deno.test("a publication that was cut before its first rename, or after its second one", async () => {
  await using f = await staged();
  await f.reopen(() => rerecord(treeIn(f.root), { publishing: true, durable: true }));
  assertEquals(await textOf(f.storage, "d/a"), "old");
  {
    await using tree = await begin(f.storage, "d");
    assert(tree.resumed);
  }
  await f.reopen(() => {
    const tree = treeIn(f.root);
    rerecord(tree, { publishing: true, durable: true });
    Deno.renameSync(f.path("d"), `${tree}/old`);
    Deno.renameSync(`${tree}/new`, f.path("d"));
  });
  assertEquals(await textOf(f.storage, "d/a"), "new");
  assertEquals(await f.leftovers(), []);
});

Deno.test("a directory that was moved away is never removed where its name is taken", async () => {
  await using f = await staged();
  let tree = "";
  await f.reopen(() => {
    tree = treeIn(f.root);
    rerecord(tree, { publishing: true, durable: true });
    Deno.renameSync(f.path("d"), `${tree}/old`);
    Deno.writeTextFileSync(f.path("d"), "taken meanwhile");
  });
  assertEquals(Deno.readTextFileSync(f.path("d")), "taken meanwhile");
  assertEquals(Deno.readTextFileSync(`${treeIn(f.root)}/old/a`), "old");
  await f.storage.stagedTrees.expire(-1);
  assertEquals(Deno.readTextFileSync(`${treeIn(f.root)}/old/a`), "old");
  await f.reopen(() => {
    Deno.writeTextFileSync(`${treeIn(f.root)}/record.json`, "damaged");
  });
  assertEquals(Deno.readTextFileSync(`${treeIn(f.root)}/old/a`), "old");
  await f.reopen(() => Deno.removeSync(treeIn(f.root), { recursive: true }));
});

Deno.test("a directory that cannot be moved back stays, even if nothing was to replace it", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "old");
  const { renameSync } = Deno;
  Deno.renameSync = (from, to) => {
    if (/\/(new|old)$/.test(String(from))) throw new Deno.errors.PermissionDenied("no");
    renameSync(from, to);
  };
  try {
    await using tree = await begin(f.storage, "d");
    await assertCode("denied", () => tree.publish({ replace: true }));
  } finally {
    Deno.renameSync = renameSync;
  }
  assertEquals(Deno.readTextFileSync(`${treeIn(f.root)}/old/a`), "old");
  await f.storage.stagedTrees.expire(-1);
  assertEquals(Deno.readTextFileSync(`${treeIn(f.root)}/old/a`), "old");
  await f.reopen();
  assertEquals(await listed(f.storage), ["d"], "the new one is whole: it gets the name");
});

Deno.test("a tree that a client opens while others expire is not removed", async () => {
  await using f = new Fixture();
  for (const directory of ["c", "d"]) {
    await using tree = await begin(f.storage, directory);
    await stage(tree, `${directory}/a`, "new");
  }
  const expired = f.storage.stagedTrees.expire(-1);
  await using tree = await begin(f.storage, "d");
  await expired;
  assert(tree.resumed);
  tree.confirm(name("d/a"));
  await tree.publish({ replace: true });
  assertEquals(await textOf(f.storage, "d/a"), "new");
});

Deno.test("a tree that another program has removed is not handed out again", async () => {
  await using f = await staged();
  Deno.removeSync(`${treeIn(f.root)}/new`, { recursive: true });
  await assertCode("not_found", () => begin(f.storage, "d"));
  await using tree = await begin(f.storage, "d");
  assert(!tree.resumed);
  await stage(tree, "d/a", "new");
  await tree.publish({ replace: true });
  assertEquals(await textOf(f.storage, "d/a"), "new");
  await f.reopen();
});

Deno.test("what was staged before the machine was started anew is doubtful", async () => {
  await using f = await staged();
  await f.reopen();
  {
    await using tree = await begin(f.storage, "d");
    assertEquals([tree.resumed, tree.doubtful], [true, false]);
  }
  await f.reopen(() => rerecord(treeIn(f.root), { boot: 0 }));
  await using tree = await begin(f.storage, "d");
  assertEquals([tree.resumed, tree.doubtful], [true, true]);
  await tree.publish({ replace: true });
  assertEquals(await listed(f.storage), ["d"], "what was not confirmed is published");
});

Deno.test("a file that is carried over is the same file", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "same");
  const { ino } = Deno.statSync(f.path("d/a"));
  await using tree = await begin(f.storage, "d");
  assert(await tree.carryOver(name("d/a"), await f.storage.stat(name("d/a"))));
  await tree.publish({ replace: true });
  const info = Deno.statSync(f.path("d/a"));
  assertEquals([info.ino, info.nlink], [ino, 1]);
});

Deno.test({
  name: "directories keep their permission bits, and so do files whose content is replaced",
  ignore,
  async fn() {
    await using f = new Fixture();
    await put(f.storage, "d/s/a", "old", { mode: 0o600 });
    Deno.chmodSync(f.path("d"), 0o750);
    Deno.chmodSync(f.path("d/s"), 0o2770);
    await using tree = await begin(f.storage, "d");
    await stage(tree, "d/s/a", "new");
    await stage(tree, "d/t/b", "new");
    await tree.publish({ replace: true });
    const bits = (path: string) => Deno.statSync(f.path(path)).mode! & 0o7777;
    assertEquals([bits("d"), bits("d/s"), bits("d/s/a")], [0o750, 0o2770, 0o600]);
    assertEquals(bits("d/t"), 0o777 & ~Deno.umask());
  },
});

Deno.test({
  name: "a link is not replaced, and what it leads to is not touched",
  ignore,
  async fn() {
    await using f = new Fixture();
    await put(f.storage, "real/a", "kept");
    Deno.symlinkSync("real", f.path("d"));
    await assertCode("not_a_file", () => begin(f.storage, "d"));
    Deno.removeSync(f.path("d"));
    await using tree = await begin(f.storage, "d");
    await stage(tree, "d/a", "new");
    Deno.symlinkSync("real", f.path("d"));
    await assertCode("not_a_file", () => tree.publish({ replace: true }));
    assertEquals(Deno.readTextFileSync(f.path("real/a")), "kept");
    Deno.removeSync(f.path("d"));
    await tree.publish({ replace: true });
  },
});

Deno.test("staged files count for the quota, and replaced ones no longer", async () => {
  await using dir = new TempDir();
  const open = () => FsStorage.open(dir.path, { quota: 10, durability: "none" });
  {
    await using storage = open();
    await put(storage, "d/a", "1234");
    await put(storage, "d/b", "56");
    await using tree = await begin(storage, "d");
    await stage(tree, "d/a", "abcd");
    await assertCode("quota", () => stage(tree, "d/c", "x"));
  }
  await using storage = open();
  {
    await using tree = await begin(storage, "d");
    tree.confirm(name("d/a"));
    await assertCode("quota", () => stage(tree, "d/c", "x"));
    assert(await tree.carryOver(name("d/b"), await storage.stat(name("d/b"))));
    await tree.publish({ replace: true });
  }
  await put(storage, "e", "4 of");
  await assertCode("quota", () => put(storage, "f", "x"));
  await storage.remove(name("d"), { recursive: true });
  await put(storage, "f", "6 left");
});

Deno.test("the error of a failed rename leaves the old directory in place", async () => {
  await using f = await staged();
  await using tree = await begin(f.storage, "d");
  tree.confirm(name("d/a"));
  const { renameSync } = Deno;
  Deno.renameSync = (from, to) => {
    if (String(from).endsWith("/new")) throw new Deno.errors.PermissionDenied("no");
    renameSync(from, to);
  };
  try {
    await assertCode("denied", () => tree.publish({ replace: true }));
  } finally {
    Deno.renameSync = renameSync;
  }
  assertEquals(await textOf(f.storage, "d/a"), "old");
  await tree.publish({ replace: true });
  assertEquals(await textOf(f.storage, "d/a"), "new");
});

Deno.test("a tree that is closed while a file of it is being resumed leaves the partial upload", async () => {
  await using f = new Fixture();
  const bytes = new Uint8Array(300_000).fill(7);
  await keepPartial(f.storage, "d/a", bytes, 128_000);
  const find = { size: bytes.length, algorithm: "md5" } as const;
  const tree = await begin(f.storage, "d");
  await stage(tree, "d/b", "new");
  const [found] = await tree.partialUploads!.find(name("d/a"), find);
  const { resume: resumeIn } = StagingArea.prototype;
  StagingArea.prototype.resume = async function (...args) {
    const upload = await resumeIn.apply(this, args);
    await tree[Symbol.asyncDispose]();
    return upload;
  };
  try {
    await assertCode("busy", () => tree.partialUploads!.resume(found!.id, find));
  } finally {
    StagingArea.prototype.resume = resumeIn;
  }
  assertEquals((await partials(f.storage)).map(({ active }) => active), [false]);
  await using again = await resume(f.storage, "d/a", find);
  assertEquals(again?.prefix?.size, 128_000);
});

Deno.test("a file that is sent again before the first connection is known to be lost", async () => {
  await using f = new Fixture();
  await using tree = await begin(f.storage, "d");
  {
    await using cut = await tree.create(name("d/a"), { size: 6 });
    await cut.write(bytesOf("cut"));
    await stage(tree, "d/a", "whole");
    await assertCode("busy", () => cut.write(bytesOf("off")));
    const commit = { checksum: md5("cutoff"), replace: true };
    await assertCode("busy", () => cut.commit(commit));
  }
  await stage(tree, "d/b", "first");
  await stage(tree, "d/b", "second");
  assertEquals(await tree.publish({ replace: false }), { files: 2, bytes: 11, replaced: false });
  assertEquals(await textOf(f.storage, "d/a"), "whole");
  assertEquals(await textOf(f.storage, "d/b"), "second");
});
