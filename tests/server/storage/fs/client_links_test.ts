import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { assertCode } from "../../../support/assertions.ts";
import { Fixture } from "../../../support/fs_storage.ts";
import { put } from "../../../support/stored_files.ts";
import { TempDir } from "../../../support/programs.ts";

const REPLACE = { replace: true };

Deno.test("FsStorage keeps no links unless it is told to", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  assertEquals(storage.links, undefined);
});

Deno.test("links are refused through links of other programs that lead out", async () => {
  await using f = new Fixture();
  const { links } = f.storage;
  Deno.mkdirSync(f.dir.join("outside"));
  f.dir.write("outside/file", "secret");
  await put(f.storage, "d/deep/file", "x");
  Deno.symlinkSync("../outside", f.path("out"));
  Deno.symlinkSync(f.dir.join("outside"), f.path("absolute"));
  Deno.symlinkSync("d/missing/../../../outside", f.path("later"));
  Deno.symlinkSync(f.path("d"), f.path("in"));
  Deno.symlinkSync("../..", f.path("d/deep/top"));
  for (const target of ["out", "out/file", "absolute", "later", "later/file"]) {
    await assertCode("denied", () => links!.create(name("l"), target, REPLACE));
  }
  // The name stays in the root by its text, and its directory is one level higher than it seems.
  await assertCode("denied", () => links!.create(name("d/deep/top/l"), "../x", REPLACE));
  await links!.create(name("l"), "in/deep/file", REPLACE);
  assertEquals(Deno.readTextFileSync(f.path("l")), "x");
  // Links of other programs that lead out, or say more than ferry keeps, are not shown as links.
  const options = { recursive: false, omitted: true, links: true };
  const listed = await Array.fromAsync(f.storage.list("", options));
  assertEquals(listed.filter((one) => one.type === undefined && one.link).length, 1);
  assertEquals(await links!.find(name("out")).then((found) => found?.target), undefined);
  assertEquals(await links!.find(name("in")).then((found) => found?.type), "link");
});

Deno.test("links are kept within the bounds of a request", async () => {
  await using f = new Fixture();
  await put(f.storage, "own/deep/file", "x");
  await put(f.storage, "other/file", "x");
  Deno.symlinkSync("../other", f.path("own/there"));
  const reaches = (path: string) => path.startsWith("own/");
  const { links } = f.storage.within({ reaches, takes: reaches });
  for (const target of ["../other/file", "..", "../.ferry", "there/file", "there"]) {
    await assertCode("denied", () => links!.create(name("own/l"), target, REPLACE));
  }
  await assertCode("denied", () => links!.create(name("other/l"), "file", REPLACE));
  await assertCode("denied", () => links!.create(name("own/there/l"), "file", REPLACE));
  await links!.create(name("own/deep/l"), "../deep/file", REPLACE);
  await links!.create(name("own/l"), "later", REPLACE);
});

Deno.test("a move does not make links lead out", async () => {
  await using f = new Fixture();
  const { links } = f.storage;
  await put(f.storage, "top", "x");
  await links!.create(name("a/b/c/l"), "../../../top", REPLACE);
  await links!.create(name("a/b/c/here"), "l", REPLACE);
  const move = (from: string, to: string) =>
    f.storage.move(name(from), name(to), { replace: true });
  await assertCode("denied", () => move("a/b/c/l", "a/l"));
  await assertCode("denied", () => move("a/b/c", "c"));
  await assertCode("denied", () => move("a/b", "b"));
  assertEquals(Deno.readLinkSync(f.path("a/b/c/l")), "../../../top");
  await move("a/b/c/here", "here");
  await move("a/b", "a/d");
  assertEquals(Deno.readLinkSync(f.path("a/d/c/l")), "../../../top");
  // What leads out already may be moved: it leads nowhere for ferry, before and after.
  Deno.symlinkSync("../../../..", f.path("a/d/c/out"));
  await move("a/d/c/out", "out");
  const confined = f.storage.within({
    reaches: (path) => path.startsWith("a/"),
    takes: (path) => path.startsWith("a/"),
  });
  await links!.create(name("a/d/up"), "../x", REPLACE);
  await assertCode("denied", () => confined.move(name("a/d/up"), name("a/up"), REPLACE));
});

Deno.test("a link is counted as what it replaces: the quota gets the space back", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { durability: "full", links: true, quota: 100 });
  await put(storage, "file", "x".repeat(90));
  await assertCode("quota", () => put(storage, "more", "x".repeat(90)));
  await storage.links!.create(name("file"), "more", REPLACE);
  await put(storage, "more", "x".repeat(90));
  assert(Deno.lstatSync(dir.join("file")).isSymlink);
});
