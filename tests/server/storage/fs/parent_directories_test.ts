import { assert, assertEquals } from "@std/assert";
import { ParentDirectories } from "../../../../server/storage/fs/parent_directories.ts";
import { type FileName, parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { Root } from "../../../../server/storage/fs/root.ts";
import { HOLDS_DIRECTORIES, TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";

/** A root with `d/a` and `d/b`, a link `to-a` to the first, and a directory beside the root. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly path = this.dir.join("root");
  readonly root: Root;

  constructor() {
    for (const path of ["root/d", "outside"]) {
      Deno.mkdirSync(this.dir.join(path), { recursive: true });
    }
    this.dir.write("root/d/a", "a");
    this.dir.write("root/d/b", "bb");
    Deno.symlinkSync("d/a", `${this.path}/to-a`);
    Deno.symlinkSync("../outside", `${this.path}/out`);
    this.root = Root.open(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.root[Symbol.dispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("ParentDirectories.look() gives for each name what Root.find() gives", async () => {
  await using f = new Fixture();
  using parents = new ParentDirectories(f.root);
  assertEquals(parents.look(name("d/a"))?.size, 1);
  assertEquals(parents.look(name("d/b"))?.size, 2);
  assertEquals(parents.look(name("to-a"))?.size, 1);
  for (const nothing of ["d/c", "missing", "out"]) {
    assertEquals(parents.look(name(nothing)), undefined);
  }
  for (let turn = 0; turn < 2; turn++) {
    for (const nowhere of ["missing/a", "out/a", "../outside/a"] as FileName[]) {
      await assertCode("not_found", () => parents.look(nowhere));
    }
    await assertCode("not_a_file", () => parents.look(name("d/a/x")));
  }
});

Deno.test("ParentDirectories.room() makes each directory once, and tells what has changed", async () => {
  await using f = new Fixture();
  using parents = new ParentDirectories(f.root);
  const first = parents.room(name("d/new/deep/a"));
  assertEquals(first.made.length, 2);
  assertEquals(parents.room(name("d/new/deep/b")).made.length, 0);
  Deno.writeTextFileSync(first.path, "x");
  assert(Deno.lstatSync(`${f.path}/d/new/deep/a`).isFile);
  await assertCode("not_found", () => parents.room(name("out/a")));
  await assertCode("not_a_file", () => parents.room(name("d/a/x")));
});

const stays = "ParentDirectories.room() stays in the directory, whatever is swapped in for it";
Deno.test({ name: stays, ignore: !HOLDS_DIRECTORIES }, async () => {
  await using f = new Fixture();
  using parents = new ParentDirectories(f.root);
  parents.room(name("d/c"));
  Deno.renameSync(`${f.path}/d`, `${f.path}/e`);
  Deno.symlinkSync("../outside", `${f.path}/d`);
  Deno.writeTextFileSync(f.dir.join("new"), "x");
  Deno.renameSync(f.dir.join("new"), parents.room(name("d/c")).path);
  assertEquals([...Deno.readDirSync(f.dir.join("outside"))], []);
  assert(Deno.lstatSync(`${f.path}/e/c`).isFile);
});
