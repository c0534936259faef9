import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { Clock } from "../../../support/clock.ts";
import { type Border, Bordered, BORDERS } from "../../../support/borders.ts";
import { run, testWithMount } from "../../../support/mount.ts";
import { filesBelow } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import {
  begin,
  keepPartial,
  listed,
  partials,
  put,
  resume,
  textOf,
} from "../../../support/stored_files.ts";

const BYTES = new Uint8Array(300_000).map((_, at) => at * 7 >> 4);
const LARGE = { size: BYTES.length, algorithm: "md5" } as const;

/** What ferry has on other file systems below a root. */
function areasIn(root: string): string[] {
  return filesBelow(root).filter((path) => path.includes(".ferry-staging"));
}

/** Resolves when there is none of it any more. */
async function cleared(root: string): Promise<void> {
  const late = Date.now() + 60_000;
  while (run("sh", "-c", `find ${root} -name '.ferry-staging*' | grep -q .`).success) {
    assert(Date.now() < late, "something is left");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

for (const [where, { make, needs }] of Object.entries(BORDERS)) {
  testWithMount(`FsStorage stores files on ${where}`, async () => {
    await using b = await Bordered.make(make);
    const { storage } = b;
    await put(storage, "far/file", "first");
    await put(storage, "far/new/deep/file", "deep");
    await assertCode("exists", () => put(storage, "far/file", "second"));
    assertEquals((await put(storage, "far/file", "first")).unchanged, true);
    await put(storage, "far/file", "second", { replace: true });
    assertEquals(await textOf(storage, "far/file"), "second");
    await storage.mkdir(name("far/made/too"));
    await storage.move(name("far/file"), name("far/made/moved"), { replace: false });
    await put(storage, "near/file", "near");
    assertEquals(await listed(storage), [
      "far",
      "far/made",
      "far/made/moved",
      "far/made/too",
      "far/new",
      "far/new/deep",
      "far/new/deep/file",
      "near",
      "near/file",
    ]);
    for (const hidden of [".ferry-staging", ".FERRY-STAGING-x"]) {
      await assertCode("bad_name", () => name(`far/${hidden}/x`));
    }
    for (const { name } of [...Deno.readDirSync(b.path("far"))]) {
      if (name !== ".ferry-staging") continue;
      Deno.symlinkSync(name, b.path("far/link"));
      await assertCode("not_found", () => storage.stat(nameOf("far/link")));
      Deno.removeSync(b.path("far/link"));
    }
    await cleared(b.root);
    await storage.remove(name("far/new"), { recursive: true });
    assertEquals(await listed(storage, "far"), ["far/made", "far/made/moved", "far/made/too"]);
  }, needs);

  testWithMount(`FsStorage goes on with parts on ${where} when it is opened again`, async () => {
    await using b = await Bordered.make(make);
    await keepPartial(b.storage, "far/large", BYTES, 128_000);
    // What a killed process left.
    await using lost = await begin(b.storage, "far/lost", "lost");
    assertEquals((await partials(b.storage, "")).map(({ received }) => received), [128_000]);
    await lost[Symbol.asyncDispose]();
    await b.reopen({ durability: "none", quota: 1_000_000 });
    assertEquals((await partials(b.storage, "")).map(({ filename }) => filename), ["far/large"]);
    await assertCode("quota", () => b.storage.create(name("far/more"), { size: 900_000 }));
    {
      await using pending = await resume(b.storage, "far/large", LARGE);
      assertEquals(pending?.prefix?.size, 128_000);
      await pending!.write(BYTES.subarray(128_000));
      await pending!.commit({ checksum: md5(BYTES), replace: false });
    }
    assertEquals(md5(Deno.readFileSync(b.path("far/large"))), md5(BYTES));
    await cleared(b.root);
    await keepPartial(b.storage, "far/old", BYTES, 128_000);
    await b.storage.partialUploads.expire(-1000);
    assertEquals(await partials(b.storage, ""), []);
    await cleared(b.root);
  }, needs);
}

const nameOf = name;
const memory: Border = BORDERS["a file system in memory"]!.make;

testWithMount(
  "FsStorage refuses what cannot be staged on a file system before bytes move",
  async () => {
    await using b = await Bordered.make((_, mounts, root) => {
      mounts.tmpfs(`${root}/far`, "ro");
    });
    const { storage } = b;
    for (
      const refused of [
        () => storage.create(name("far/x"), { size: 1 }),
        () => storage.assertFits(name("far/x"), 1),
        () => resume(storage, "far/d/x", LARGE),
      ]
    ) {
      const { message } = await assertCode("denied", refused);
      assertEquals(
        message,
        "nothing can be staged on the file system there: the file system is read-only",
      );
    }
    await put(storage, "near/x", "x");
  },
);

testWithMount(
  "FsStorage refuses a file that another file system has no room for before bytes move",
  async () => {
    await using b = await Bordered.make((_, mounts, root) => {
      mounts.tmpfs(`${root}/far`, "size=1m");
    });
    await assertCode("no_space", () => b.storage.create(name("far/x"), { size: 9_000_000 }));
    await (await b.storage.create(name("near/x"), { size: 9_000_000 }))[Symbol.asyncDispose]();
  },
);

testWithMount(
  "FsStorage brings a file over that was staged before its directory was mounted",
  async () => {
    await using b = await Bordered.make(() => {});
    Deno.mkdirSync(b.path("far"));
    await using pending = await begin(b.storage, "far/d/file", "content");
    await using taken = await begin(b.storage, "far/taken", "content");
    await using refused = await begin(b.storage, "far/refused", "content");
    b.mounts.tmpfs(b.path("far"));
    Deno.writeTextFileSync(b.path("far/taken"), "other");
    // Directories that were just used are looked at again after a second.
    using clock = new Clock();
    clock.ahead += 1000;
    const asked: string[] = [];
    const commit = { checksum: md5("content"), replace: false };
    const { checksum } = await pending.commit({
      ...commit,
      assertMay: () => void asked.push("may"),
    });
    assertEquals([checksum, asked.at(-1)], [md5("content"), "may"]);
    assertEquals(Deno.readTextFileSync(b.path("far/d/file")), "content");
    await assertCode("exists", () => taken.commit(commit));
    run("mount", "-o", "remount,ro", b.path("far"));
    assertMatch((await assertCode("denied", () => refused.commit(commit))).message, /read-only/);
  },
);

testWithMount("FsStorage leaves what others stage on the same file system", async () => {
  await using b = await Bordered.make(memory);
  const other = b.dir.join("other");
  b.mounts.bind(b.path("far"), `${other}/far`);
  const storage = FsStorage.open(other, { durability: "none" });
  await using pending = await begin(b.storage, "far/a", "a");
  await keepPartial(b.storage, "far/large", BYTES, 128_000);
  const before = areasIn(b.root);
  await put(storage, "far/b", "b");
  await storage[Symbol.asyncDispose]();
  assertEquals(areasIn(b.root), before);
  await pending.commit({ checksum: md5("a"), replace: false });
  assertEquals(await listed(b.storage, "far"), ["far/a", "far/b"]);
});

testWithMount("FsStorage tells apart what is staged by two paths to one file system", async () => {
  await using b = await Bordered.make(memory);
  b.mounts.bind(b.path("far"), b.path("again"));
  await using far = await begin(b.storage, "far/a", "a");
  await using again = await begin(b.storage, "again/b", "b");
  await far.commit({ checksum: md5("a"), replace: false });
  await again.commit({ checksum: md5("b"), replace: false });
  assertEquals(await listed(b.storage, "again"), ["again/a", "again/b"]);
});

testWithMount(
  "FsStorage removes what was left of uploads with a directory, and nothing that is being written",
  async () => {
    await using b = await Bordered.make((dir, mounts, root) => {
      mounts.image(dir.join("image"), root, "mkfs.btrfs", "-q");
      run("btrfs", "subvolume", "create", `${root}/far`);
    });
    await put(b.storage, "far/file", "x");
    {
      await using _pending = await begin(b.storage, "far/new", "x");
      const { message } = await assertCode("denied", () => {
        return b.storage.remove(name("far"), { recursive: true });
      });
      assertMatch(message, /the server needs it/);
    }
    await keepPartial(b.storage, "far/large", BYTES, 128_000);
    await b.storage.remove(name("far"), { recursive: true });
    assertEquals(await listed(b.storage), ["near"]);
    await put(b.storage, "far/file", "x");
  },
  ["mkfs.btrfs", "/dev/loop-control"],
);

testWithMount(
  "FsStorage keeps no other file system from being unmounted when nothing happens",
  async () => {
    await using b = await Bordered.make(memory);
    await put(b.storage, "far/a", "a");
    await keepPartial(b.storage, "far/large", BYTES, 128_000);
    while (!run("umount", b.path("far")).success) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert(run("mount", "-t", "tmpfs", "ferry", b.path("far")).success);
  },
);
