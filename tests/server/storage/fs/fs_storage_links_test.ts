import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { isTaken } from "../../../../lib/files/path_lookup.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { later, stopClock } from "../../../support/clock.ts";
import { namesIn } from "../../../support/directories.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { begin, listed, put, textOf } from "../../../support/stored_files.ts";
import { Fixture } from "../../../support/fs_storage.ts";

Deno.test("FsStorage follows links that stay in the root", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "content");
  Deno.symlinkSync("d", f.path("to-dir"));
  Deno.symlinkSync(f.path("d/a"), f.path("to-file"));
  assertEquals(await textOf(f.storage, "to-dir/a"), "content");
  assertEquals(await textOf(f.storage, "to-file"), "content");
  using _clock = stopClock(later());
  assertEquals(await f.storage.checksum(name("d/a"), "md5"), md5("content"));
  const { type, size, checksum: digest } = await f.storage.stat(name("to-file"));
  assertEquals({ type, size, digest }, { type: "file", size: 7, digest: md5("content") });
  assertEquals((await f.storage.stat(name("to-dir"))).type, "directory");
  await put(f.storage, "to-dir/new/b", "new");
  assertEquals(Deno.readTextFileSync(f.path("d/new/b")), "new");
  await f.storage.mkdir(name("to-dir"));
  await f.storage.mkdir(name("to-dir/more"));
  assert(Deno.lstatSync(f.path("d/more")).isDirectory);
  await assertCode("not_a_file", () => f.storage.create(name("to-dir"), { size: 1 }));
  await assertCode("not_a_file", () => f.storage.create(name("to-file/x"), { size: 1 }));
});

Deno.test("FsStorage.list() shows a linked directory and does not descend into it", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "content");
  Deno.symlinkSync("..", f.path("d/up"));
  Deno.symlinkSync("d", f.path("e"));
  assertEquals(await listed(f.storage), ["d", "d/a", "d/up", "e"]);
  assertEquals(await listed(f.storage, "e"), ["e/a", "e/up"]);
});

Deno.test("FsStorage.commit() onto a link takes the link's place", async () => {
  await using f = new Fixture();
  await put(f.storage, "target", "old");
  Deno.symlinkSync("target", f.path("link"));
  await assertCode("exists", () => put(f.storage, "link", "new"));
  assertEquals((await put(f.storage, "link", "old")).unchanged, true);
  await put(f.storage, "link", "new", { replace: true });
  assertEquals(Deno.readTextFileSync(f.path("target")), "old");
  assert(Deno.lstatSync(f.path("link")).isFile);
  assertEquals(await textOf(f.storage, "link"), "new");
});

Deno.test("FsStorage.remove() of a link leaves what it leads to", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "content");
  Deno.mkdirSync(f.dir.join("outside"));
  f.dir.write("outside/b", "outside");
  for (const target of ["d", "../outside", "nowhere", ".ferry"]) {
    Deno.symlinkSync(target, f.path("link"));
    await f.storage.remove(name("link"), { recursive: true });
    assert(!isTaken(f.path("link")));
  }
  assertEquals(await listed(f.storage), ["d", "d/a"]);
  assertEquals(namesIn(f.dir.join("outside")), ["b"]);
  assert(namesIn(f.path(".ferry")).includes("staging"));
});

/** What must hold for every name that leads to something that is not to be reached. */
async function assertOutOfReach(storage: FsStorage, filename: string): Promise<void> {
  const out = name(filename);
  await assertCode("not_found", () => storage.stat(out));
  await assertCode("not_found", () => storage.open(out, "md5"));
  await assertCode("not_found", () => storage.checksum(out, "md5"));
  await assertCode("not_found", () => listed(storage, filename));
  const below = name(`${filename}/new`);
  await assertCode("not_found", () => put(storage, `${filename}/new`, "x", { replace: true }));
  await assertCode("not_found", () => put(storage, `${filename}/new/deep`, "x"));
  await assertCode("not_found", () => storage.mkdir(below));
  await assertCode("not_found", () => storage.mkdir(name(`${filename}/new/deep`)));
  await assertCode("not_found", () => storage.remove(below, { recursive: true }));
  await assertCode("not_found", () => storage.move(name("mine"), below, { replace: true }));
  await assertCode("not_found", () => storage.move(below, name("taken"), { replace: true }));
  assert(!(await listed(storage)).some((shown) => shown.startsWith(filename)), "it is listed");
}

Deno.test("FsStorage links out of the root lead nowhere", async () => {
  await using f = new Fixture();
  await put(f.storage, "mine", "mine");
  // Its path begins like the root's, and is not below it.
  const outside = `${f.root}side`;
  Deno.mkdirSync(`${outside}/sub`, { recursive: true });
  Deno.writeTextFileSync(`${outside}/secret`, "secret");
  const links = { absolute: outside, relative: "../rootside", up: "..", top: "/" };
  for (const [link, target] of Object.entries(links)) {
    Deno.symlinkSync(target, f.path(link));
    await assertOutOfReach(f.storage, link);
  }
  Deno.symlinkSync("absolute/sub", f.path("twice"));
  await assertOutOfReach(f.storage, "twice");
  for (const through of ["absolute/secret", "up/rootside/secret"]) {
    await assertCode("not_found", () => f.storage.open(name(through), "md5"));
    await assertCode("not_found", () => f.storage.checksum(name(through), "md5"));
    await assertCode("not_found", () => f.storage.remove(name(through), { recursive: false }));
  }
  assertEquals(namesIn(outside), ["secret", "sub"]);
  assertEquals(namesIn(`${outside}/sub`), []);
  assertEquals(namesIn(f.dir.path), ["root", "rootside"]);
  assertEquals(await f.leftovers(), []);
});

Deno.test("FsStorage a link to a file out of the root is not written through", async () => {
  await using f = new Fixture();
  f.dir.write("secret", "secret");
  Deno.symlinkSync("../secret", f.path("link"));
  await assertCode("not_found", () => f.storage.open(name("link"), "md5"));
  await assertCode("exists", () => put(f.storage, "link", "x"));
  await assertCode("exists", () => f.storage.mkdir(name("link")));
  assertEquals(await listed(f.storage), []);
  await put(f.storage, "link", "x", { replace: true });
  assert(Deno.lstatSync(f.path("link")).isFile);
  assertEquals(Deno.readTextFileSync(f.dir.join("secret")), "secret");
});

Deno.test("FsStorage a link that leads out only after create() is not written through", async () => {
  await using f = new Fixture();
  Deno.mkdirSync(f.dir.join("outside"));
  Deno.mkdirSync(f.path("d"));
  await using pending = await begin(f.storage, "d/a", "x");
  Deno.removeSync(f.path("d"));
  Deno.symlinkSync("../outside", f.path("d"));
  await assertCode("not_found", () => pending.commit({ checksum: md5("x"), replace: true }));
  assertEquals(namesIn(f.dir.join("outside")), []);
});

Deno.test("FsStorage links into its own directory lead nowhere", async () => {
  await using f = new Fixture();
  await put(f.storage, "mine", "mine");
  Deno.symlinkSync(".ferry", f.path("own"));
  Deno.symlinkSync(".ferry/staging", f.path("staging"));
  await assertOutOfReach(f.storage, "own");
  await assertOutOfReach(f.storage, "staging");
  Deno.symlinkSync(".ferry/lock", f.path("lock"));
  await assertCode("not_found", () => f.storage.open(name("lock"), "md5"));
  await assertCode("not_found", () => f.storage.open(name("own/index.db"), "md5"));
  // By way of a link to the root, its own name is no reserved one.
  Deno.symlinkSync(".", f.path("top"));
  await assertOutOfReach(f.storage, "top/.ferry");
  await assertCode("not_found", () => f.storage.remove(name("top/.ferry"), { recursive: true }));
  const found = await f.storage.findAll(["own/lock", "top/.ferry", "top/mine", "lock"].map(name));
  assertEquals(found.map((entry) => entry && (entry as { size: number }).size), [
    undefined,
    undefined,
    4,
    undefined,
  ]);
  assertEquals(await listed(f.storage), ["mine", "top"]);
});

Deno.test("FsStorage.move() of a directory into itself by way of a link is bad_name", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "x");
  Deno.symlinkSync("d", f.path("link"));
  for (const to of ["link/b", "link/c/b"].map(name)) {
    await assertCode("bad_name", () => f.storage.move(name("d"), to, { replace: false }));
  }
  assertEquals(await textOf(f.storage, "d/a"), "x");
});
