import { RUNTIME } from "../../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { type FileName, parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { Root } from "../../../../server/storage/fs/root.ts";
import { HOLDS_DIRECTORIES, TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";

/**
 * A root with `dir/file`, the state directory, and beside the root a directory with a secret.
 * Links in the root: see {@linkcode LINKS}; and `root-link`, beside it, leads to the root.
 */
class Fixture implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly path = Deno.realPathSync(this.#dir.path) + "/root";
  readonly outside = `${this.path}-outside`;
  readonly root: Root;

  constructor() {
    for (const path of ["root/dir/sub", "root/.ferry/staging", "root-outside"]) {
      Deno.mkdirSync(this.#dir.join(path), { recursive: true });
    }
    this.#dir.write("root/dir/file", "content");
    this.#dir.write("root-outside/secret", "secret");
    Deno.symlinkSync("root", `${this.path}-link`);
    for (const [link, target] of Object.entries(LINKS)) {
      Deno.symlinkSync(target.replace("ROOT", this.path), `${this.path}/${link}`);
    }
    this.root = Root.open(`${this.path}-link`);
    const { directory } = this.root;
    using own = directory.enter(".ferry", Deno.lstatSync(directory.at(".ferry")))!;
    this.root.hide(own);
  }

  /** Where a name leads, as a path from the root. */
  find(name: FileName | ""): string {
    using place = this.root.find(name);
    return this.#fromRoot(place.path);
  }

  /** Where a name itself stands, as a path from the root. */
  place(name: FileName): string {
    using place = this.root.place(name);
    return this.#fromRoot(place.directory.path) + `/${place.name}`;
  }

  #fromRoot(path: string): string {
    return Deno.realPathSync(path).replace(this.path, "");
  }

  /** Nothing was made, neither in the root nor beside it. */
  assertUntouched(): void {
    const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
    assertEquals(names(this.outside), ["secret"]);
    assertEquals(names(this.path), [".ferry", "dir", ...Object.keys(LINKS)].sort());
    assertEquals(names(`${this.path}/dir`), ["file", "sub"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.root[Symbol.dispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

const LINKS: Readonly<Record<string, string>> = {
  "in": "dir",
  "in-absolute": "ROOT/dir",
  // By the path that the root was opened by.
  "in-by-link": "ROOT-link/dir",
  "in-chain": "in-absolute",
  "in-dots": "./dir//sub/../../in/.",
  "in-file": "dir/file",
  "self": ".",
  "out": "ROOT-outside",
  "out-file": "../root-outside/secret",
  "out-chain": "dir/../out",
  "up": "..",
  "top": "/",
  "own": ".ferry",
  "own-deep": "self/.ferry/staging",
  "dangling": "nowhere",
  "dangling-out": "../root-outside/nowhere",
  "loop": "loop",
  "loop-a": "dir/../loop-b",
  "loop-b": "loop-a",
};

/** Names that lead out of the root, or into the state directory. */
const OUT = [
  "out",
  "out/secret",
  "out-file",
  "out-chain",
  "out-chain/secret",
  "up",
  "up/root-outside/secret",
  // Not even in order to come back.
  "up/root/dir",
  "up/root/../root-outside",
  "top",
  "top/etc",
  "own",
  "own/staging",
  "own-deep",
  ".ferry",
  ".ferry/staging",
  "self/.ferry",
  "self/.FERRY",
  "in-dots/../../.ferry",
  "..",
  "../root-outside/secret",
  "dangling-out",
  "dangling-out/x",
] as FileName[];

/** Names that lead into a directory that is in the root. */
const IN = [
  "dir",
  "in",
  "in-absolute",
  "in-by-link",
  "in-chain",
  "in-dots",
  "self/in",
  "self/self/dir",
]
  .map(name);

Deno.test("Root.find() gives the place of what a name leads to", async () => {
  await using f = new Fixture();
  assertEquals(f.root.path, f.path);
  assertEquals(f.find(""), "");
  assertEquals(f.find(name("self")), "");
  for (const to of IN) {
    assertEquals(f.find(to), "/dir");
    assertEquals(f.find(name(`${to}/file`)), "/dir/file");
    assertEquals(f.find(name(`${to}/sub`)), "/dir/sub");
  }
  assertEquals(f.find(name("in-file")), "/dir/file");
});

Deno.test("Root.find() finds nothing out of the root", async () => {
  await using f = new Fixture();
  for (const out of OUT) await assertCode("not_found", () => f.root.find(out));
  for (const missing of ["missing", "dir/missing", "dangling", "dangling/x"].map(name)) {
    await assertCode("not_found", () => f.root.find(missing));
  }
  for (const below of ["dir/file/below", "in-file/below"].map(name)) {
    await assertCode("not_a_file", () => f.root.find(below));
  }
  for (const loop of ["loop", "loop-a", "loop/x"]) {
    await assertCode("bad_name", () => f.root.find(name(loop)));
  }
  // Its path begins as the root's does.
  using other = Root.open(`${f.path}/dir`);
  await assertCode("not_found", () => other.find("../dir" as FileName));
});

Deno.test("Root.look() gives the same, and undefined where a name leads nowhere", async () => {
  await using f = new Fixture();
  for (const to of IN) {
    using place = f.root.look(to);
    assert(place?.info.isDirectory);
  }
  for (const nothing of [...OUT, "missing", "dangling", "dir/file/x", "loop"] as FileName[]) {
    assertEquals(f.root.look(nothing), undefined);
  }
});

Deno.test("Root follows 40 links for a name, and no more", async () => {
  await using f = new Fixture();
  Deno.symlinkSync("dir", `${f.path}/link1`);
  for (let at = 2; at <= 41; at++) Deno.symlinkSync(`link${at - 1}`, `${f.path}/link${at}`);
  assertEquals(f.find(name("link40/file")), "/dir/file");
  await assertCode("bad_name", () => f.root.find(name("link41/file")));
  // Each link that leads up makes the walk begin anew.
  Deno.symlinkSync("dir/../".repeat(580) + "dir", `${f.path}/long`);
  assertEquals(f.find(name("long")), "/dir");
  Deno.symlinkSync("long/../".repeat(500), `${f.path}/longer`);
  await assertCode("bad_name", () => f.root.find(name("longer")));
});

Deno.test("Root.place() gives the place of a name itself", async () => {
  await using f = new Fixture();
  for (const to of IN) assertEquals(f.place(name(`${to}/file`)), "/dir/file");
  for (const link of Object.keys(LINKS)) assertEquals(f.place(name(link)), `/${link}`);
  for (const out of ["out/secret", "up/x", "own/x", ".ferry/x", "self/.ferry", ".ferry", "x/y"]) {
    await assertCode("not_found", () => f.root.place(out as FileName));
  }
});

Deno.test("Root.open() opens the file that a name leads to", async () => {
  await using f = new Fixture();
  for (const to of [...IN.map((to) => `${to}/file`), "in-file"].map(name)) {
    await using file = f.root.open(to, RUNTIME);
    assertEquals(new TextDecoder().decode(await file.readWhole()), "content");
  }
  for (const out of OUT) await assertCode("not_found", () => f.root.open(out, RUNTIME));
  for (const directory of ["dir", "in", "self"]) {
    await assertCode("not_a_file", () => f.root.open(name(directory), RUNTIME));
  }
});

Deno.test("Root.enter() opens the directory that a name leads to", async () => {
  await using f = new Fixture();
  for (const to of IN) {
    using directory = f.root.enter(to);
    assertEquals([...Deno.readDirSync(directory.path)].map(({ name }) => name).sort(), [
      "file",
      "sub",
    ]);
  }
  for (const top of ["", name("self")] as const) {
    using directory = f.root.enter(top);
    assertEquals(directory.identity, f.root.directory.identity);
  }
  for (const out of OUT) await assertCode("not_found", () => f.root.enter(out));
  for (const file of ["dir/file", "in-file"].map(name)) {
    await assertCode("not_a_file", () => f.root.enter(file));
  }
});

Deno.test("Root.makeParent() makes the directories above a name", async () => {
  await using f = new Fixture();
  const make = (to: string) => {
    const changed: import("../../../../server/storage/fs/open_directory.ts").Directory[] = [];
    using directory = f.root.makeParent(name(to), changed);
    const made = changed.map((each) => Deno.realPathSync(each.path).replace(f.path, ""));
    for (const each of changed) each[Symbol.dispose]();
    return [Deno.realPathSync(directory.path).replace(f.path, ""), ...made];
  };
  assertEquals(make("new"), [""]);
  assertEquals(make("in/a/b/new"), ["/dir/a/b", "/dir", "/dir/a"]);
  assertEquals(make("dir/a/b/new"), ["/dir/a/b"]);
  assertEquals(make("in-dots/c/new"), ["/dir/c", "/dir"]);
});

Deno.test("Root.makeParent() makes nothing out of the root", async () => {
  await using f = new Fixture();
  for (const out of OUT) {
    for (const below of ["new", "new/deep"]) {
      await assertCode("not_found", () => f.root.makeParent(`${out}/${below}` as FileName, []));
    }
  }
  for (const part of ["dir/file", "in-file", "dangling"]) {
    for (const below of ["new", "new/deep"]) {
      await assertCode("not_a_file", () => f.root.makeParent(name(`${part}/${below}`), []));
    }
  }
  await assertCode("bad_name", () => f.root.makeParent(name("loop/new/deep"), []));
  f.assertUntouched();
});

Deno.test("Root.pathIn() gives no name to what would be ferry's own", async () => {
  await using f = new Fixture();
  assertEquals(
    f.root.pathIn(f.root.directory, name("a/b")),
    `${f.root.directory.path}/b`,
  );
  for (const own of ["self/.ferry", "self/.Ferry"]) {
    await assertCode("not_found", () => f.root.pathIn(f.root.directory, name(own)));
  }
});

Deno.test("Root.assertPlaceable() lets pass where a file could be made, and makes nothing", async () => {
  await using f = new Fixture();
  // A link gives way, wherever it leads.
  const links = ["in-file", "out", "out-file", "up", "own", "dangling", "dangling-out", "loop"];
  // Twice, since what is known of a directory is remembered.
  for (const good of ["new", "dir/file", "dir/a/b/new", "in/new", ...links, ...links]) {
    f.root.assertPlaceable(name(good));
  }
  f.assertUntouched();
});

Deno.test("Root.assertPlaceable() refuses where none could", async () => {
  await using f = new Fixture();
  f.root.assertPlaceable(name("new"));
  const blocked = ["dir/file/x", "dir/file/x/y", "in-file/x", "in/file/x", "dangling/x"];
  for (const taken of ["dir", "in", "in-chain", "self", ...blocked]) {
    await assertCode("not_a_file", () => f.root.assertPlaceable(name(taken)));
  }
  for (const out of OUT) {
    for (const below of ["new", "new/deep"]) {
      await assertCode("not_found", () => f.root.assertPlaceable(`${out}/${below}` as FileName));
    }
  }
  for (const own of [".ferry", "self/.ferry", ".ferry/lock"] as FileName[]) {
    await assertCode("not_found", () => f.root.assertPlaceable(own));
  }
  await assertCode("bad_name", () => f.root.assertPlaceable(name("loop/x")));
  f.assertUntouched();
});

Deno.test("Root.assertPlaceable() of what replaces nothing looks at the directory alone", async () => {
  await using f = new Fixture();
  f.root.assertPlaceable(name("new"), { fresh: true });
  f.root.assertPlaceable(name("dir"), { fresh: true });
  await assertCode("not_a_file", () => f.root.assertPlaceable(name("dir")));
  await assertCode("not_a_file", () => f.root.assertPlaceable(name("dir/file/x"), { fresh: true }));
  await assertCode("not_found", () => {
    f.root.assertPlaceable(".ferry/lock" as FileName, { fresh: true });
  });
  f.assertUntouched();
});

const hides = "Root.hide() holds under every name that the directory has";
Deno.test({ name: hides, ignore: !HOLDS_DIRECTORIES }, async () => {
  await using f = new Fixture();
  Deno.renameSync(`${f.path}/.ferry`, `${f.path}/other`);
  for (const hidden of ["other", "other/staging", "self/other"].map(name)) {
    await assertCode("not_found", () => f.root.find(hidden));
    await assertCode("not_found", () => f.root.place(hidden));
  }
});

Deno.test("Root knows a directory again only as long as its name leads to it", async () => {
  await using f = new Fixture();
  const file = name("dir/sub/file");
  Deno.writeTextFileSync(`${f.path}/dir/sub/file`, "mine");
  Deno.writeTextFileSync(`${f.outside}/file`, "secret");
  const size = () => {
    using place = f.root.find(file);
    return place.info.size;
  };
  assertEquals(size(), 4);
  // The directory stays open for a while.
  Deno.renameSync(`${f.path}/dir`, `${f.outside}/dir`);
  await assertCode("not_found", size);
  Deno.symlinkSync(`${f.outside}/dir`, `${f.path}/dir`);
  await assertCode("not_found", size);
  Deno.removeSync(`${f.path}/dir`);
  Deno.mkdirSync(`${f.path}/dir/sub`, { recursive: true });
  await assertCode("not_found", size);
  Deno.writeTextFileSync(`${f.path}/dir/sub/file`, "other");
  assertEquals(size(), 5);
  Deno.removeSync(`${f.path}/dir/sub`, { recursive: true });
  Deno.symlinkSync(f.outside, `${f.path}/dir/sub`);
  await assertCode("not_found", size);
});

Deno.test("Root around the whole file system", async () => {
  await using f = new Fixture();
  using root = Root.open("/");
  using top = root.find("");
  assertEquals(Deno.realPathSync(top.path), "/");
  using file = root.find(name(`${f.path}/in-absolute/file`.slice(1)));
  assertEquals(Deno.realPathSync(file.path), `${f.path}/dir/file`);
});
