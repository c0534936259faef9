import { assert, assertEquals } from "@std/assert";
import { type FileName, parseFileName as name } from "../lib/file_name.ts";
import { Jail } from "../lib/jail.ts";
import { TempDir } from "./programs.ts";
import { assertCode } from "./storage_conformance.ts";

/**
 * A root with `dir/file`, ferry's own directory, and beside the root a directory with a secret.
 * Links in the root: `in` -> dir, `in-file` -> dir/file, `out` -> the secret's directory, `up` -> ..,
 * `own` -> .ferry, `dangling` -> nowhere, `dangling-out` -> nowhere outside, `loop` -> itself.
 */
class Fixture implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly root = Deno.realPathSync(this.#dir.path) + "/root";
  readonly outside = `${this.root}-outside`;
  readonly jail = new Jail(this.root);

  constructor() {
    for (const path of ["root/dir", "root/.ferry/staging", "root-outside"]) {
      Deno.mkdirSync(this.#dir.join(path), { recursive: true });
    }
    this.#dir.write("root/dir/file", "content");
    this.#dir.write("root-outside/secret", "secret");
    const links = {
      "in": "dir",
      "in-file": "dir/file",
      "out": this.outside,
      "out-file": "../root-outside/secret",
      "up": "..",
      "top": "/",
      "own": ".ferry",
      "dangling": "nowhere",
      "dangling-out": "../root-outside/nowhere",
      "loop": "loop",
    };
    for (const [link, target] of Object.entries(links)) {
      Deno.symlinkSync(target, `${this.root}/${link}`);
    }
  }

  /** Nothing was made, neither in the root nor beside it. */
  assertUntouched(): void {
    assertEquals([...Deno.readDirSync(this.outside)].map(({ name }) => name), ["secret"]);
    assertEquals([...Deno.readDirSync(this.root)].length, 12);
    assertEquals([...Deno.readDirSync(`${this.root}/dir`)].length, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Names that lead out of the root, or into ferry's own directory. */
const OUT = [
  "out",
  "out/secret",
  "out-file",
  "up",
  "up/root-outside/secret",
  "up/root/../root-outside",
  "top",
  "top/etc",
  "own",
  "own/staging",
  ".ferry",
  ".ferry/staging",
  "..",
  "../root-outside/secret",
] as FileName[];

Deno.test("Jail.find() gives the path of what a name leads to", async () => {
  await using f = new Fixture();
  assertEquals(f.jail.root, f.root);
  assertEquals(f.jail.reserved, `${f.root}/.ferry`);
  assertEquals(f.jail.find(""), f.root);
  assertEquals(f.jail.find(name("dir/file")), `${f.root}/dir/file`);
  assertEquals(f.jail.find(name("in/file")), `${f.root}/dir/file`);
  assertEquals(f.jail.find(name("in-file")), `${f.root}/dir/file`);
  assertEquals(f.jail.find(name("up/root/dir")), `${f.root}/dir`);
});

Deno.test("Jail.find() finds nothing out of the root", async () => {
  await using f = new Fixture();
  for (const out of OUT) await assertCode("not_found", () => f.jail.find(out));
  for (const missing of ["missing", "dir/missing", "dangling", "dangling-out"].map(name)) {
    await assertCode("not_found", () => f.jail.find(missing));
  }
  await assertCode("not_a_file", () => f.jail.find(name("dir/file/below")));
  await assertCode("bad_name", () => f.jail.find(name("loop")));
  // Its path begins as the root's does.
  await assertCode("not_found", () => new Jail(`${f.root}/di`).find("../dir" as FileName));
});

Deno.test("Jail.place() gives the path of a name itself", async () => {
  await using f = new Fixture();
  assertEquals(f.jail.place(name("dir/new")), `${f.root}/dir/new`);
  assertEquals(f.jail.place(name("in/new")), `${f.root}/dir/new`);
  for (const link of ["in", "out", "own", "dangling", "loop"].map(name)) {
    assertEquals(f.jail.place(link), `${f.root}/${link}`);
  }
  for (const out of ["out/secret", "up/x", "own/x", ".ferry/x", "missing/x", "dangling/x"]) {
    await assertCode("not_found", () => f.jail.place(out as FileName));
  }
});

Deno.test("Jail.placer() gives the paths of many names, as place() does", async () => {
  await using f = new Fixture();
  const place = f.jail.placer();
  for (const path of ["dir/new", "in/new", "dir/other", "own", "dangling"].map(name)) {
    assertEquals(place(path), f.jail.place(path));
  }
  for (const out of ["out/a", "out/b", "up/x", "own/x", "missing/x", "missing/y"].map(name)) {
    await assertCode("not_found", () => place(out));
  }
  // By way of a link to the root, a name that is no reserved one.
  Deno.symlinkSync(".", `${f.root}/here`);
  await assertCode("not_found", () => place(name("here/.ferry")));
  await assertCode("not_found", () => f.jail.place(name("here/.ferry")));
});

Deno.test("Jail.placer() and roomMaker() see what was swapped before they were made", async () => {
  await using f = new Fixture();
  assertEquals(f.jail.placer()(name("dir/a")), `${f.root}/dir/a`);
  assertEquals(f.jail.roomMaker()(name("dir/a")), { path: `${f.root}/dir/a`, changed: [] });
  Deno.renameSync(`${f.root}/dir`, `${f.root}/moved`);
  Deno.symlinkSync(f.outside, `${f.root}/dir`);
  await assertCode("not_found", () => f.jail.placer()(name("dir/a")));
  await assertCode("not_found", () => f.jail.roomMaker()(name("dir/a")));
});

Deno.test("Jail.roomMaker() makes a directory for many names once", async () => {
  await using f = new Fixture();
  const makeRoomFor = f.jail.roomMaker();
  const [first, second, third] = ["dir/a/b/x", "dir/a/b/y", "new"].map(name).map(makeRoomFor);
  assertEquals(first!.changed.sort(), [`${f.root}/dir`, `${f.root}/dir/a`]);
  assertEquals(second, { path: `${f.root}/dir/a/b/y`, changed: [] });
  assertEquals(third, { path: `${f.root}/new`, changed: [] });
  await assertCode("not_a_file", () => makeRoomFor(name("dir/file/x")));
  await assertCode("not_found", () => makeRoomFor(name("out/x")));
});

Deno.test("Jail.makeRoomFor() makes the directories above a name", async () => {
  await using f = new Fixture();
  assertEquals(f.jail.makeRoomFor(name("new")), { path: `${f.root}/new`, changed: [] });
  const deep = f.jail.makeRoomFor(name("in/a/b/new"));
  assertEquals(deep.path, `${f.root}/dir/a/b/new`);
  assertEquals(deep.changed.map((path) => Deno.realPathSync(path)).sort(), [
    `${f.root}/dir`,
    `${f.root}/dir/a`,
  ]);
  assert(Deno.statSync(`${f.root}/dir/a/b`).isDirectory);
  assertEquals(f.jail.makeRoomFor(name("dir/a/b/new")), { path: deep.path, changed: [] });
});

Deno.test("Jail.makeRoomFor() makes nothing out of the root", async () => {
  await using f = new Fixture();
  for (const out of OUT) {
    await assertCode("not_found", () => f.jail.makeRoomFor(`${out}/new` as FileName));
    await assertCode(
      ["not_found", "not_a_file"],
      () => f.jail.makeRoomFor(`${out}/new/deep` as FileName),
    );
  }
  for (const part of ["dir/file", "in-file", "dangling", "dangling-out"]) {
    await assertCode("not_a_file", () => f.jail.makeRoomFor(name(`${part}/new`)));
    await assertCode("not_a_file", () => f.jail.makeRoomFor(name(`${part}/new/deep`)));
  }
  await assertCode("bad_name", () => f.jail.makeRoomFor(name("loop/new/deep")));
  f.assertUntouched();
});

Deno.test("Jail.assertPlaceable() lets pass where a file could be made, and makes nothing", async () => {
  await using f = new Fixture();
  for (const good of ["new", "dir/file", "dir/a/b/new", "in/new", "in-file", "dangling"]) {
    f.jail.assertPlaceable(name(good));
  }
  f.assertUntouched();
});

Deno.test("Jail.assertPlaceable() refuses where none could", async () => {
  await using f = new Fixture();
  for (const taken of ["dir", "in", "dir/file/x", "dir/file/x/y", "in-file/x", "in/file/x"]) {
    await assertCode("not_a_file", () => f.jail.assertPlaceable(name(taken)));
  }
  for (const out of OUT) {
    await assertCode("not_found", () => f.jail.assertPlaceable(out));
    await assertCode(
      ["not_found", "not_a_file"],
      () => f.jail.assertPlaceable(`${out}/new` as FileName),
    );
  }
  await assertCode("bad_name", () => f.jail.assertPlaceable(name("loop/x")));
  f.assertUntouched();
});

Deno.test("Jail around the whole file system", async () => {
  await using f = new Fixture();
  const jail = new Jail("/");
  assertEquals(jail.find(""), "/");
  assertEquals(jail.reserved, "/.ferry");
  const file = name(`${f.root}/dir/file`.slice(1));
  assertEquals(jail.find(file), `${f.root}/dir/file`);
  assertEquals(jail.place(file), `${f.root}/dir/file`);
});
