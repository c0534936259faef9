import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { Root } from "../../../../server/storage/fs/root.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { removeTree } from "../../../../server/storage/fs/tree_removal.ts";
import { dirname } from "../../../../lib/core/paths.ts";
import { HOLDS_DIRECTORIES, TempDir } from "../../../support/programs.ts";
import { namesIn } from "../../../support/directories.ts";
import { assertCode } from "../../../support/assertions.ts";
import { listed, put } from "../../../support/stored_files.ts";

/** Writes a file, after making the directories above it. */
function write(dir: TempDir, path: string, content = "x"): void {
  Deno.mkdirSync(dirname(dir.join(path)), { recursive: true });
  dir.write(path, content);
}

/** A root, what is beside it, and a storage. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly storage: FsStorage;

  constructor() {
    Deno.mkdirSync(this.root);
    this.storage = FsStorage.open(this.root, { durability: "none" });
  }

  path(name: string): string {
    return `${this.root}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** A root, and what `removeTree` asks it. */
class Removal implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root: Root;
  readonly removed: number[] = [];
  readonly ending = new AbortController();

  constructor() {
    Deno.mkdirSync(this.dir.join("root"));
    this.root = Root.open(this.dir.join("root"));
  }

  /** Removes `tree`; `seen` is called for each entry before it is looked at. */
  async remove(seen: (entry: string) => void = () => {}): Promise<void> {
    using place = this.root.place(name("tree"));
    await removeTree(place.directory, name("tree"), {
      peek: (directory, entry) => {
        seen(entry);
        return this.root.peek(directory, entry);
      },
      onRemoved: ({ size }) => this.removed.push(size),
      signal: this.ending.signal,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.root[Symbol.dispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("removeTree() tells of each file, and of no link", async () => {
  await using r = new Removal();
  write(r.dir, "outside/secret", "secret");
  write(r.dir, "root/tree/a", "1");
  write(r.dir, "root/tree/b/c", "333");
  Deno.mkdirSync(r.dir.join("root/tree/empty"));
  Deno.symlinkSync("../../outside", r.dir.join("root/tree/link"));
  Deno.symlinkSync("a", r.dir.join("root/tree/to-a"));
  await r.remove();
  assertEquals(r.removed, [1, 3]);
  assertEquals(namesIn(r.dir.join("root")), []);
  assertEquals(namesIn(r.dir.join("outside")), ["secret"]);
});

Deno.test("removeTree() does not mind what vanishes or is put there meanwhile", async () => {
  await using r = new Removal();
  for (const path of ["a/1", "a/2", "b/1", "c"]) write(r.dir, `root/tree/${path}`, "x");
  const changes: Record<string, () => void> = {
    "2": () => Deno.removeSync(r.dir.join("root/tree/a/2")),
    "b": () => {
      Deno.removeSync(r.dir.join("root/tree/b"), { recursive: true });
      write(r.dir, "root/tree/a.new/1", "new");
    },
    "c": () => write(r.dir, "root/tree/d/e/new", "new"),
  };
  await r.remove((entry) => {
    changes[entry]?.();
    delete changes[entry];
  });
  assertEquals(namesIn(r.dir.join("root")), []);
});

Deno.test("removeTree() ends with its signal, and leaves what has not had its turn", async () => {
  await using r = new Removal();
  for (const path of ["a/1", "b/1", "c/1"]) write(r.dir, `root/tree/${path}`, "x");
  const error = await assertCode("auth_required", () =>
    r.remove((entry) => {
      if (entry === "b") r.ending.abort(new FerryError("auth_required", "the token has expired"));
    }));
  assertEquals(error.reason, "the token has expired");
  assertEquals(namesIn(r.dir.join("root/tree")), ["b", "c"]);
});

Deno.test("removeTree() gives up where others put something back again and again", async () => {
  await using r = new Removal();
  write(r.dir, "root/tree/a", "x");
  let count = 0;
  const error = await assertCode("exists", () =>
    r.remove((entry) => {
      if (entry.startsWith("a")) write(r.dir, `root/tree/a${count++}`, "x");
    }));
  assertEquals(error.message, "the directory is not empty");
  assert(count < 20, `${count} tries`);
});

Deno.test({
  name: "removeTree() stays in the tree where links are swapped in for what it has seen",
  ignore: !HOLDS_DIRECTORIES,
}, async () => {
  await using r = new Removal();
  write(r.dir, "outside/x", "secret");
  write(r.dir, "outside/sub/x", "secret");
  for (const path of ["a/x", "sub/x"]) write(r.dir, `root/tree/${path}`, "x");
  let swapped = false;
  await r.remove((entry) => {
    if (entry !== "x" || swapped) return;
    swapped = true;
    // It is in `a` now, and comes to `sub` later.
    for (const directory of ["a", "sub"]) {
      Deno.renameSync(r.dir.join(`root/tree/${directory}`), r.dir.join(`root/was-${directory}`));
      Deno.symlinkSync(
        directory === "a" ? "../../outside" : "../../outside/sub",
        r.dir.join(`root/tree/${directory}`),
      );
    }
  });
  assertEquals(namesIn(r.dir.join("outside")), ["sub", "x"]);
  assertEquals(namesIn(r.dir.join("outside/sub")), ["x"]);
  assertEquals(namesIn(r.dir.join("root")), ["was-a", "was-sub"]);
  // What it held when that was moved away it has emptied; the other one it never came to.
  assertEquals(namesIn(r.dir.join("root/was-a")), []);
  assertEquals(namesIn(r.dir.join("root/was-sub")), ["x"]);
});

Deno.test("FsStorage.remove() of a tree leaves the state directory, and says what stays", async () => {
  await using f = new Fixture();
  await put(f.storage, "d/a", "x");
  await put(f.storage, "d/e/b", "x");
  Deno.renameSync(f.path(".ferry"), f.path("d/e/moved"));
  const error = await assertCode(
    "denied",
    () => f.storage.remove(name("d"), { recursive: true }),
  );
  assertEquals(error.message, '"d/e/moved" stays: the server needs it');
  assertEquals(namesIn(f.path("d/e/moved")).includes("staging"), true);
  assertEquals(await listed(f.storage), ["d", "d/e"], "the rest is not gone");
  Deno.renameSync(f.path("d/e/moved"), f.path(".ferry"));
  await f.storage.remove(name("d"), { recursive: true });
  assertEquals(await listed(f.storage), []);
});

Deno.test({
  name: "FsStorage.remove() of a tree removes all but what cannot be removed",
  // Only root may make a file that nobody can remove, and only on some file systems.
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
}, async () => {
  await using f = new Fixture();
  for (const path of ["d/a", "d/e/kept", "d/e/z", "d/f/x"]) await put(f.storage, path, "x");
  const chattr = (flag: string) =>
    new Deno.Command("chattr", { args: [flag, f.path("d/e/kept")], stderr: "null" }).outputSync()
      .success;
  try {
    if (!chattr("+i")) return;
  } catch {
    return;
  }
  try {
    const error = await assertCode(
      "denied",
      () => f.storage.remove(name("d"), { recursive: true }),
    );
    assertEquals(
      error.message,
      '"d/e/kept" stays: permission denied by the operating system',
    );
    assertEquals(await listed(f.storage), ["d", "d/e", "d/e/kept"]);
  } finally {
    chattr("-i");
  }
});

Deno.test("FsStorage.remove() of a tree takes along names that are no text", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using f = new Fixture();
  for (const path of ["d/a", "d/e/b"]) await put(f.storage, path, "x");
  const script = "import os,sys\np=os.fsencode(sys.argv[1])\n" +
    "open(p+b'/f\\xff','w').close()\nos.mkdir(p+b'/d\\xff')\nopen(p+b'/d\\xff/x','w').close()";
  const { success } = new Deno.Command("python3", { args: ["-c", script, f.path("d/e")] })
    .outputSync();
  if (!success) return; // A file system that takes only text.
  await f.storage.remove(name("d"), { recursive: true });
  assertEquals(namesIn(f.root), [".ferry"]);
});

Deno.test("FsStorage.remove() of a large tree lets others have their turn", async () => {
  await using f = new Fixture();
  for (let i = 0; i < 1000; i++) write(f.dir, `root/d/${i % 7}/${i}`, "x");
  let rounds = 0;
  const timer = setInterval(() => rounds++, 0);
  try {
    await f.storage.remove(name("d"), { recursive: true });
  } finally {
    clearInterval(timer);
  }
  assertEquals(await listed(f.storage), []);
  assert(rounds > 1, `${rounds} rounds`);
});
