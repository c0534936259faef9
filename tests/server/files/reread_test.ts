import { assertEquals } from "@std/assert";
import { reread, type RereadOptions } from "../../../server/files/reread.ts";
import { ChecksumCache, identityOf } from "../../../server/storage/fs/checksum_cache.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, sha256 } from "../../support/bytes.ts";
import { later, stopClock } from "../../support/clock.ts";
import { Fixture } from "../../support/fs_storage.ts";
import { rot } from "../../support/rot.ts";
import { RUNTIME } from "../../support/runtime.ts";
import { put } from "../../support/stored_files.ts";

async function rereadIn(f: Fixture, filename: string, options?: RereadOptions) {
  await using file = await f.storage.open(name(filename), "md5");
  return await reread(RUNTIME, file, options);
}

Deno.test("reread() tells intact files from damaged ones, and forgets nothing by that", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "content");
  assertEquals(await rereadIn(f, "a"), {
    verdict: "intact",
    checksum: md5("content"),
    recorded: md5("content"),
  });
  rot(f.path("a"));
  // Whoever reads the damaged file must not make its checksum the one that counts.
  using _clock = stopClock(later());
  assertEquals(await f.storage.checksum(name("a"), "md5"), md5("bontent"));
  for (let times = 0; times < 2; times++) {
    assertEquals(await rereadIn(f, "a"), {
      verdict: "damaged",
      checksum: md5("bontent"),
      recorded: md5("content"),
    });
  }
  await f.reopen();
  assertEquals((await rereadIn(f, "a")).verdict, "damaged");
});

Deno.test("reread() has no record of what another program has written, and makes one", async () => {
  await using f = new Fixture();
  Deno.writeTextFileSync(f.path("new"), "content");
  await put(f.storage, "changed", "old");
  Deno.writeTextFileSync(f.path("changed"), "new");
  Deno.utimeSync(f.path("changed"), 1000, 1000);
  using _clock = stopClock(later());
  for (const filename of ["new", "changed"]) {
    assertEquals((await rereadIn(f, filename)).verdict, "unrecorded");
    assertEquals((await rereadIn(f, filename)).verdict, "intact");
  }
});

Deno.test("reread() knows a file again whose name, mode or links have changed", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "content");
  // The change time has whole seconds: a file that changes later is one that changed long ago.
  await f.reopen(() => {
    Deno.chmodSync(f.path("a"), 0o600);
    Deno.linkSync(f.path("a"), f.path("b"));
    Deno.renameSync(f.path("a"), f.path("c"));
  });
  assertEquals((await rereadIn(f, "c")).verdict, "intact");
  rot(f.path("c"));
  assertEquals((await rereadIn(f, "b")).verdict, "damaged");
});

Deno.test("reread() takes a new file that looks like a removed one for no damage", async () => {
  await using f = new Fixture();
  Deno.writeTextFileSync(f.path("a"), "content");
  await f.reopen(() => {
    // The record is of a file that had this inode, size and modification time, and was gone before this one was made.
    const info = Deno.lstatSync(f.path("a"));
    const ctime = new Date(info.birthtime!.getTime() - 5000);
    using index = ChecksumCache.open(f.path(".ferry/index.db"));
    index.record([{ identity: identityOf({ ...info, ctime }), checksum: md5("another") }]);
  });
  assertEquals((await rereadIn(f, "a")).verdict, "unrecorded");
});

Deno.test("reread() gives the checksum that was asked for, whichever was recorded", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "content");
  assertEquals(await rereadIn(f, "a", { algorithm: "sha256" }), {
    verdict: "intact",
    checksum: `sha256:${sha256("content")}`,
    recorded: md5("content"),
  });
  rot(f.path("a"));
  assertEquals((await rereadIn(f, "a", { algorithm: "sha256" })).verdict, "damaged");
});

Deno.test("reread() fails where the file changes while it is read", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "content");
  await assertCode("io", () =>
    rereadIn(f, "a", {
      pause: () => {
        Deno.writeTextFileSync(f.path("a"), "changed");
        return Promise.resolve();
      },
    }));
});
