import { assert, assertEquals } from "@std/assert";
import { Batch } from "../../../../server/storage/fs/batch.ts";
import { type FileName, parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { Jail } from "../../../../server/storage/fs/root.ts";
import { HOLDS_DIRECTORIES, TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";

/** A root with `d/a` and `d/b`, a link `to-a` to the first, and a directory beside the root. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly jail: Jail;

  constructor() {
    for (const path of ["root/d", "outside"]) {
      Deno.mkdirSync(this.dir.join(path), { recursive: true });
    }
    this.dir.write("root/d/a", "a");
    this.dir.write("root/d/b", "bb");
    Deno.symlinkSync("d/a", `${this.root}/to-a`);
    Deno.symlinkSync("../outside", `${this.root}/out`);
    this.jail = new Jail(this.root);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.jail[Symbol.dispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("Batch.look() gives for each name what Jail.find() gives", async () => {
  await using f = new Fixture();
  using batch = new Batch(f.jail);
  assertEquals(batch.look(name("d/a"))?.size, 1);
  assertEquals(batch.look(name("d/b"))?.size, 2);
  assertEquals(batch.look(name("to-a"))?.size, 1);
  for (const nothing of ["d/c", "missing", "out"]) {
    assertEquals(batch.look(name(nothing)), undefined);
  }
  for (let turn = 0; turn < 2; turn++) {
    for (const nowhere of ["missing/a", "out/a", "../outside/a"] as FileName[]) {
      await assertCode("not_found", () => batch.look(nowhere));
    }
    await assertCode("not_a_file", () => batch.look(name("d/a/x")));
  }
});

Deno.test("Batch.room() makes each directory once, and tells what has changed", async () => {
  await using f = new Fixture();
  using batch = new Batch(f.jail);
  const first = batch.room(name("d/new/deep/a"));
  assertEquals(first.made.length, 2);
  assertEquals(batch.room(name("d/new/deep/b")).made.length, 0);
  Deno.writeTextFileSync(first.path, "x");
  assert(Deno.lstatSync(`${f.root}/d/new/deep/a`).isFile);
  await assertCode("not_found", () => batch.room(name("out/a")));
  await assertCode("not_a_file", () => batch.room(name("d/a/x")));
});

const stays = "Batch.room() stays in the directory, whatever is swapped in for it";
Deno.test({ name: stays, ignore: !HOLDS_DIRECTORIES }, async () => {
  await using f = new Fixture();
  using batch = new Batch(f.jail);
  batch.room(name("d/c"));
  Deno.renameSync(`${f.root}/d`, `${f.root}/e`);
  Deno.symlinkSync("../outside", `${f.root}/d`);
  Deno.writeTextFileSync(f.dir.join("new"), "x");
  Deno.renameSync(f.dir.join("new"), batch.room(name("d/c")).path);
  assertEquals([...Deno.readDirSync(f.dir.join("outside"))], []);
  assert(Deno.lstatSync(`${f.root}/e/c`).isFile);
});
