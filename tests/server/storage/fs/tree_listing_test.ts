import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { dirname } from "../../../../lib/core/paths.ts";
import { HOLDS_DIRECTORIES, TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";
import { listed } from "../../../support/stored_files.ts";

/** Writes a file, after making the directories above it. */
function write(dir: TempDir, path: string, content = "x"): void {
  Deno.mkdirSync(dirname(dir.join(path)), { recursive: true });
  dir.write(path, content);
}

/** So long that 1500 names take more than the memory that they may take. */
const LONG = "name".repeat(20);

/** A directory, and a storage over it. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly storage = FsStorage.open(this.dir.path, { durability: "none" });

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** How many temporary files without a name this process has open. */
function scratch(): number {
  // This process may not look itself.
  const { stdout } = new Deno.Command("ls", { args: ["-l", `/proc/${Deno.pid}/fd`] }).outputSync();
  return new TextDecoder().decode(stdout).split("/ferryd-").length - 1;
}

Deno.test("FsStorage.list() tells all of a directory whose names take more than memory may", async () => {
  await using f = new Fixture();
  const names = Array.from({ length: 1500 }, (_, i) => `d/${(i * 7919) % 6007}-${LONG}`);
  for (const path of names) write(f.dir, path, "");
  const directory = `${names[700]}.d`;
  Deno.mkdirSync(f.dir.join(`${directory}/below`), { recursive: true });
  const more = [directory, `${directory}/below`];
  const expected = [...names, ...more].sort();
  // A directory comes before what is in it, and that before what comes behind it.
  assertEquals(await listed(f.storage, "d"), expected);
});

const leaves = "FsStorage.list() leaves nothing open, wherever its reader stops";
Deno.test({ name: leaves, ignore: !HOLDS_DIRECTORIES }, async () => {
  await using f = new Fixture();
  for (let i = 0; i < 1500; i++) write(f.dir, `d/e/${i}-${LONG}`, "");
  assertEquals(scratch(), 0);
  for (const stop of [1, 2, 1200]) {
    let told = 0;
    for await (const _ of f.storage.list("", { recursive: true })) {
      if (told === 0) assertEquals(scratch(), 0);
      if (++told === stop) break;
    }
    assertEquals(scratch(), 0, `after ${stop} entries`);
  }
  const list = f.storage.list("", { recursive: true });
  for (let i = 0; i < 10; i++) await list.next();
  assertEquals(scratch(), 1, "the names wait in no file");
  await list.throw(new Error("the reader has failed")).catch(() => {});
  assertEquals(scratch(), 0);
});

Deno.test("FsStorage.list() tells of no name that is too long to be asked for, but says so", async () => {
  await using f = new Fixture();
  const part = "d".repeat(250);
  const path = Array.from({ length: 12 }, () => part).join("/");
  write(f.dir, `${path}/file`);
  assertEquals((await listed(f.storage)).at(-1), `${path}/file`);
  Deno.mkdirSync(f.dir.join(`${path}/${part}`));
  const error = await assertCode("bad_name", () => listed(f.storage));
  assert(/^names in "d+.*" are longer than 3072 bytes$/.test(error.message), error.message);
  await f.storage.remove(name(part), { recursive: true });
  assertEquals(await listed(f.storage), []);
});

Deno.test("FsStorage.list() goes on where a directory is removed that it is in", async () => {
  await using f = new Fixture();
  for (const path of ["a/b/1", "a/b/2", "c"]) write(f.dir, path, "");
  const names: string[] = [];
  for await (const { filename } of f.storage.list("", { recursive: true })) {
    names.push(filename);
    if (filename === "a/b") Deno.removeSync(f.dir.join("a"), { recursive: true });
  }
  assertEquals(names, ["a", "a/b", "c"]);
});

Deno.test({
  name: "FsStorage.list() tells that a directory was replaced while it was listed",
  ignore: !HOLDS_DIRECTORIES,
}, async () => {
  /** Lists a directory, and moves another one away, which may be replaced, when `d/s` was listed. */
  const list = async (
    directory: "" | "d",
    { moved, replaced, omitted = true }: { moved: string; replaced: boolean; omitted?: boolean },
  ) => {
    await using f = new Fixture();
    for (const path of ["d/a", "d/s/1", "e"]) write(f.dir, path);
    const lines: string[] = [];
    const options = { recursive: true, omitted };
    for await (const line of f.storage.list(directory && name(directory), options)) {
      const { filename, omitted: why } = line;
      lines.push(why instanceof FerryError ? `${filename} ${why.code}` : filename);
      if (lines.at(-1) !== "d/s") continue;
      Deno.renameSync(f.dir.join(moved), f.dir.join("away"));
      if (replaced) write(f.dir, `${moved}/new`);
    }
    return lines;
  };
  const sub = { moved: "d/s", replaced: true };
  assertEquals(await list("", sub), ["d", "d/a", "d/s", "d/s/1", "d/s busy", "e"]);
  assertEquals(await list("", { ...sub, omitted: false }), ["d", "d/a", "d/s", "d/s/1", "e"]);
  assertEquals(await list("", { ...sub, replaced: false }), ["d", "d/a", "d/s", "d/s/1", "e"]);
  await assertCode("busy", () => list("d", { moved: "d", replaced: true }));
  await assertCode("not_found", () => list("d", { moved: "d", replaced: false }));
});

Deno.test("FsStorage.list() tells what it leaves out where that is asked for, in its place", async () => {
  await using f = new Fixture();
  for (const path of ["d/a", "d/sub/x", "e"]) write(f.dir, path);
  Deno.symlinkSync("..", f.dir.join("d/up"));
  Deno.symlinkSync("nowhere", f.dir.join("d/broken"));
  Deno.symlinkSync("/etc", f.dir.join("d/out"));
  f.dir.pipe("d/pipe");
  const lines = async (omitted: boolean, recursive: boolean) => {
    const listed = await Array.fromAsync(f.storage.list(name("d"), { recursive, omitted }));
    return listed.map(({ filename, type, omitted }) => [filename, type, omitted].join(" "));
  };
  const file = "d/a file ";
  const plain = [file, "d/sub directory ", "d/sub/x file ", "d/up directory "];
  assertEquals(await lines(false, true), plain);
  const above = [file, "d/broken  link", "d/out  link", "d/pipe  pipe", "d/sub directory "];
  assertEquals(await lines(true, true), [...above, "d/sub/x file ", "d/up directory link"]);
  assertEquals(await lines(true, false), [...above, "d/up directory "]);
});

Deno.test("FsStorage.list() ends where the storage is closed", async () => {
  await using dir = new TempDir();
  const storage = FsStorage.open(dir.path, { durability: "none" });
  for (let i = 0; i < 200; i++) dir.write(`f${i}`, "");
  const list = storage.list("", { recursive: true });
  await list.next();
  await storage[Symbol.asyncDispose]();
  await assertCode("closed", async () => {
    while (!(await list.next()).done);
  });
});
