import { assert, assertEquals, assertRejects } from "@std/assert";
import { Directory } from "../../../../server/storage/fs/open_directory.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { removeTree } from "../../../../server/storage/fs/tree_removal.ts";
import { eachBelow, TreeWalk } from "../../../../server/storage/fs/tree_walk.ts";
import { HOLDS_DIRECTORIES, TempDir } from "../../../support/programs.ts";

/** Makes a directory and a file in a directory, and so on, also where no path is long enough. */
function makeDeep(path: string, name: string, depth: number): void {
  const script = "import os,sys\nos.chdir(sys.argv[1])\n" +
    "for i in range(int(sys.argv[3])):\n d=sys.argv[2]\n os.mkdir(d)\n open('f','w').close()\n os.chdir(d)\n";
  const { success } = new Deno.Command("python3", { args: ["-c", script, path, name, `${depth}`] })
    .outputSync();
  assert(success);
}

/** How many descriptors this process has open. */
function descriptors(): number {
  // This process may not look itself.
  const { stdout } = new Deno.Command("ls", { args: [`/proc/${Deno.pid}/fd`] }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").length;
}

async function enter(walk: TreeWalk, name: string): Promise<boolean> {
  const here = await walk.here();
  return await walk.enter(name, Deno.lstatSync(here!.at(name)));
}

for (const [what, part, depth] of [["deep", "d", 120], ["long", "d".repeat(250), 20]] as const) {
  const criterion = `TreeWalk goes through a tree of ${what} paths with few descriptors`;
  Deno.test({ name: criterion, ignore: !HOLDS_DIRECTORIES }, async () => {
    await using dir = new TempDir();
    makeDeep(dir.path, part, depth);
    const start = Directory.open(dir.path);
    const peek = (directory: Directory, name: string) => Deno.lstatSync(directory.at(name));
    const { signal } = new AbortController();
    try {
      const before = descriptors();
      const counts = { directories: 0, files: 0, descriptors: 0 };
      const onFound = ({ isDirectory }: Deno.FileInfo) => {
        if (isDirectory) counts.directories++;
        else counts.files++;
        if (counts.directories === 100) counts.descriptors = descriptors();
      };
      await eachBelow(start, { peek, onFound, signal });
      // The runtime goes by paths where it opens directories, and those have an end.
      if (what === "deep") assertEquals([counts.directories, counts.files], [depth, depth]);
      else assert(counts.directories > 10, `${counts.directories} directories`);
      // Those that nobody uses stay open for a moment, too.
      const more = counts.descriptors - before;
      assert(more < 100, `${more} descriptors`);
      await removeTree(start, name(part), { peek, onRemoved: () => counts.files--, signal });
      assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["f"]);
    } finally {
      start.close();
    }
  });
}

Deno.test({
  name: "TreeWalk.here() is undefined where a directory above was replaced, and no other one",
  ignore: !HOLDS_DIRECTORIES,
}, async () => {
  await using dir = new TempDir();
  const depth = 60;
  const path = Array.from({ length: depth }, () => "d").join("/");
  Deno.mkdirSync(dir.join(path), { recursive: true });
  const start = Directory.open(dir.path);
  try {
    using walk = await TreeWalk.begin(start);
    for (let level = 0; level < depth; level++) assert(await enter(walk, "d"));
    // The walk has let go of this one by now, and another one stands in its place.
    Deno.renameSync(dir.join("d/d/d"), dir.join("moved"));
    Deno.mkdirSync(dir.join("d/d/d"));
    let lost = 0;
    for (; walk.depth > 0; walk.leave()) if (!await walk.here()) lost++;
    assert(lost > 0, "all were held");
    assert(await walk.here());
    assertEquals(walk.names, []);
    Deno.removeSync(dir.join("d/d/d"));
    Deno.symlinkSync(dir.join("moved"), dir.join("d/d/d"));
    for (const name of ["d", "d"]) assert(await enter(walk, name));
    assertEquals(await enter(walk, "d"), false, "a link was followed");
    assertEquals(walk.names, ["d", "d"]);
  } finally {
    start.close();
  }
});

Deno.test("TreeWalk ends with its signal, also while names are read", async () => {
  await using dir = new TempDir();
  for (const name of ["a", "b"]) dir.write(name, "x");
  const ending = new AbortController();
  const start = Directory.open(dir.path);
  try {
    using walk = await TreeWalk.begin(start, { signal: ending.signal });
    assertEquals(await walk.take(1), ["a"]);
    ending.abort(new FerryError("closed", "it was closed"));
    const { reason } = await assertRejects(() => walk.take(1), FerryError);
    assertEquals(reason, "it was closed");
    await assertRejects(() => TreeWalk.begin(start, { signal: ending.signal }), FerryError);
  } finally {
    start.close();
  }
});
