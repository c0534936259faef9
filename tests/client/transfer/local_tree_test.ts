import { assert, assertEquals } from "@std/assert";
import { Filter } from "../../../client/transfer/filter.ts";
import { expandGlobs, walkLocal, type WalkOptions } from "../../../client/transfer/local_tree.ts";
import type { FerryError } from "../../../lib/core/errors.ts";
import { TempDir } from "../../support/programs.ts";
import { assertCode } from "../../support/assertions.ts";

/** Makes files, each with its name as content, and directories, whose names end with a slash. */
function fill(dir: TempDir, names: readonly string[]): void {
  for (const name of names) {
    Deno.mkdirSync(dir.join(name.slice(0, name.lastIndexOf("/") + 1)), { recursive: true });
    if (!name.endsWith("/")) dir.write(name, name);
  }
}

function walk(root: string, options?: WalkOptions) {
  return Array.fromAsync(walkLocal(root, options));
}

/** The names of a walk, those of directories with a slash, and what was reported meanwhile. */
async function names(root: string, options: WalkOptions = {}) {
  const skipped: string[] = [];
  const failed: string[] = [];
  const walked = await walk(root, {
    onSkip: ({ path, reason }) => skipped.push(`${path.slice(root.length + 1)}: ${reason}`),
    onError: (path, { code }) => failed.push(`${path.slice(root.length + 1)}: ${code}`),
    ...options,
  });
  const found = walked.map(({ name, type }) => type === "directory" ? `${name}/` : name);
  return { found, skipped, failed };
}

function run(command: string, args: string[], cwd?: string): void {
  const { success } = new Deno.Command(command, { args, ...(cwd ? { cwd } : {}) }).outputSync();
  assert(success, `${command} failed`);
}

Deno.test("walkLocal() yields what is there, directories before their content", async () => {
  await using dir = new TempDir();
  fill(dir, ["b/c/d", "b/a", "b.txt", "a", "B", "empty/", "ü", ".hidden", "b-c"]);
  assertEquals(await names(dir.path), {
    found: [".hidden", "B", "a", "b/", "b/a", "b/c/", "b/c/d", "b-c", "b.txt", "empty/", "ü"],
    skipped: [],
    failed: [],
  });
});

Deno.test("walkLocal() tells path, size, time and permission bits", async () => {
  await using dir = new TempDir();
  fill(dir, ["d/file"]);
  Deno.chmodSync(dir.join("d/file"), 0o4640);
  Deno.utimeSync(dir.join("d/file"), new Date(), new Date(1_234_567_890_123));
  Deno.chmodSync(dir.join("d"), 0o750);
  Deno.utimeSync(dir.join("d"), new Date(), new Date(-5000));
  const expected = [
    { path: dir.join("d"), name: "d", type: "directory", size: 0, mtime: -5000, mode: 0o750 },
    {
      path: dir.join("d/file"),
      name: "d/file",
      type: "file",
      size: 6,
      mtime: 1_234_567_890_123,
      mode: 0o640,
    },
  ] as const;
  assertEquals(await walk(dir.path), [...expected]);
  assertEquals(await walk(`${dir.path}/`), [...expected]);
});

Deno.test("walkLocal() of the working directory gives paths without a prefix", async () => {
  const [first] = await walk(".");
  assertEquals(first?.path, first?.name);
});

Deno.test("walkLocal() needs a directory to begin with", async () => {
  await using dir = new TempDir();
  fill(dir, ["file", "d/x"]);
  await assertCode("not_found", () => walk(dir.join("missing")));
  const error = await assertCode("not_a_file", () => walk(dir.join("file")));
  assertEquals(error.reason, "it is not a directory");
  Deno.symlinkSync("d", dir.join("link"));
  assertEquals((await names(dir.join("link"))).found, ["x"]);
});

Deno.test("walkLocal() skips symbolic links and says so", async () => {
  await using dir = new TempDir();
  fill(dir, ["d/x", "file"]);
  Deno.symlinkSync("d", dir.join("to_directory"));
  Deno.symlinkSync("file", dir.join("to_file"));
  Deno.symlinkSync("nowhere", dir.join("dangling"));
  assertEquals(await names(dir.path), {
    found: ["d/", "d/x", "file"],
    skipped: ["dangling: symbolic link", "to_directory: symbolic link", "to_file: symbolic link"],
    failed: [],
  });
});

Deno.test("walkLocal() reports what has a name that is not UTF-8", async () => {
  await using dir = new TempDir();
  fill(dir, ["a", "z"]);
  // Deno itself cannot make such a file.
  const script = `cd "$1" && touch "$(printf 'bad\\377')" && mkdir "$(printf 'd\\376')"`;
  const { success } = await new Deno.Command("sh", { args: ["-c", script, "sh", dir.path] })
    .output();
  assert(success);
  assertEquals(await names(dir.path), {
    found: ["a", "z"],
    skipped: [],
    failed: ["bad\ufffd: bad_name", "d\ufffd: bad_name"],
  });
});

Deno.test("walkLocal() follows symbolic links where it is told to", async () => {
  await using outside = new TempDir();
  await using dir = new TempDir();
  fill(outside, ["y"]);
  fill(dir, ["d/x", "file"]);
  Deno.symlinkSync(outside.path, dir.join("out"));
  Deno.symlinkSync("d", dir.join("twice"));
  Deno.symlinkSync("file", dir.join("to_file"));
  Deno.symlinkSync("nowhere", dir.join("dangling"));
  Deno.symlinkSync("loop", dir.join("loop"));
  assertEquals(await names(dir.path, { follow: true }), {
    found: ["d/", "d/x", "file", "out/", "out/y", "to_file", "twice/", "twice/x"],
    skipped: ["dangling: symbolic link"],
    failed: ["loop: bad_name"],
  });
  const link = (await walk(dir.path, { follow: true })).find(({ name }) => name === "to_file")!;
  assertEquals([link.type, link.size], ["file", 4]);
});

Deno.test("walkLocal() follows no link in circles", async () => {
  await using dir = new TempDir();
  fill(dir, ["a/x", "b/y", "c/d/z"]);
  Deno.symlinkSync("..", dir.join("a/up"));
  Deno.symlinkSync(".", dir.join("a/here"));
  // Each of the two leads to the other.
  Deno.symlinkSync("../c/d", dir.join("b/to_d"));
  Deno.symlinkSync("../../b", dir.join("c/d/to_b"));
  const circle = "a directory that it is in itself";
  const walked = await names(dir.path, { follow: true });
  assertEquals(walked.found, [
    ...["a/", "a/x", "b/", "b/to_d/", "b/to_d/z", "b/y"],
    ...["c/", "c/d/", "c/d/to_b/", "c/d/to_b/y", "c/d/z"],
  ]);
  assertEquals(walked.skipped, [
    `a/here: ${circle}`,
    `a/up: ${circle}`,
    `b/to_d/to_b: ${circle}`,
    `c/d/to_b/to_d: ${circle}`,
  ]);
  // From inside of what a link leads to the outside of, the circle closes in a plain directory.
  Deno.removeSync(dir.join("a/here"));
  assertEquals((await names(dir.join("a"), { follow: true })).skipped, [
    `up/a: ${circle}`,
    `up/b/to_d/to_b: ${circle}`,
    `up/c/d/to_b/to_d: ${circle}`,
  ]);
});

Deno.test("walkLocal() skips what is neither file nor directory", async () => {
  await using dir = new TempDir();
  fill(dir, ["file"]);
  run("mkfifo", [dir.join("pipe")]);
  using _socket = Deno.listen({ transport: "unix", path: dir.join("socket") });
  assertEquals(await names(dir.path), {
    found: ["file"],
    skipped: ["pipe: named pipe", "socket: socket"],
    failed: [],
  });
});

Deno.test("walkLocal() skips what belongs to ferry, and nothing that only has such a name", async () => {
  await using dir = new TempDir();
  const part = `.ferry-${"0a".repeat(16)}.part`;
  fill(dir, [".ferry/index.db", `d/${part}`, "d/.ferry/x", "d/.ferry-x.part", ".ferry.txt"]);
  fill(dir, [".ferry-staging/x", "e/.ferry-staging/x"]);
  assertEquals(await names(dir.path), {
    found: [".ferry.txt", "d/", "d/.ferry/", "d/.ferry/x", "d/.ferry-x.part", "e/"],
    skipped: [
      ".ferry: ferryd's own directory",
      ".ferry-staging: ferryd's own directory",
      `d/${part}: a part of a download`,
      "e/.ferry-staging: ferryd's own directory",
    ],
    failed: [],
  });
  const filter = new Filter({ exclude: [".ferry*"] });
  assertEquals(await names(dir.path, { filter }), { found: ["d/", "e/"], skipped: [], failed: [] });
});

Deno.test("walkLocal() looks only at what the filter accepts", async () => {
  await using dir = new TempDir();
  fill(dir, ["a.jpg", "a.txt", "d/b.jpg", "d/b.txt", "e/", "e/f/", "no/c.jpg", "no/d/e.jpg"]);
  run("mkfifo", [dir.join("no/pipe"), dir.join("pipe.txt")]);
  Deno.symlinkSync("a.txt", dir.join("link.txt"));
  const excluding = new Filter({ exclude: ["no/", "*.txt"] });
  assertEquals(await names(dir.path, { filter: excluding }), {
    found: ["a.jpg", "d/", "d/b.jpg", "e/", "e/f/"],
    skipped: [],
    failed: [],
  });
  assertEquals((await names(dir.path, { filter: excluding, follow: true })).found, [
    ...["a.jpg", "d/", "d/b.jpg", "e/", "e/f/"],
  ]);
});

Deno.test("walkLocal() yields with includes only the directories that lead to what matches", async () => {
  await using dir = new TempDir();
  fill(dir, [
    ...["1/2/3/a.jpg", "1/2/3/b.jpg", "1/2/a.txt", "1/4/", "5/6/a.txt", "5/7.jpg", "8/docs/9/"],
  ]);
  const filter = new Filter({ include: ["*.jpg", "docs/"] });
  assertEquals((await names(dir.path, { filter })).found, [
    ...["1/", "1/2/", "1/2/3/", "1/2/3/a.jpg", "1/2/3/b.jpg", "5/", "5/7.jpg"],
    ...["8/", "8/docs/", "8/docs/9/"],
  ]);
});

Deno.test("walkLocal() takes a followed link to a directory for a directory in patterns", async () => {
  await using dir = new TempDir();
  fill(dir, ["real/x"]);
  Deno.symlinkSync("real", dir.join("link"));
  // What is excluded, whatever it leads to, is not even looked at.
  Deno.symlinkSync("loop", dir.join("loop"));
  const both = new Filter({ exclude: ["link/", "loop"] });
  const walked = await names(dir.path, { filter: both, follow: true });
  assertEquals(walked, { found: ["real/", "real/x"], skipped: [], failed: [] });
});

Deno.test("walkLocal() reports what it cannot look at and goes on", async () => {
  await using dir = new TempDir();
  fill(dir, ["a", "z"]);
  // Deeper than a path may be long, and so out of reach, even for root: two halves, put together.
  const half = Array(9).fill("d".repeat(250)).join("/");
  for (const top of ["m", "n"]) Deno.mkdirSync(dir.join(`${top}/${half}`), { recursive: true });
  const deep = dir.join(`m/${half}/n`);
  Deno.renameSync(dir.join("n"), deep);
  const failed: [string, FerryError][] = [];
  const found = await walk(dir.path, { onError: (...failure) => failed.push(failure) });
  assertEquals(failed.length, 1);
  assertEquals([failed[0]![1].code, failed[0]![0].length > 4000], ["bad_name", true]);
  assertEquals([found[0]!.name, found.at(-1)!.name], ["a", "z"]);
  assertEquals((await walk(dir.path)).length, found.length);
  Deno.renameSync(deep, dir.join("n"));
});

Deno.test({
  name: "walkLocal() reports a directory that may not be read" +
    (Deno.uid() === 0 ? " (ignored: root may read everything)" : ""),
  ignore: Deno.uid() === 0,
  async fn() {
    await using dir = new TempDir();
    fill(dir, ["a/x", "b/x"]);
    Deno.chmodSync(dir.join("a"), 0);
    const walked = await names(dir.path);
    Deno.chmodSync(dir.join("a"), 0o700);
    assertEquals(walked, { found: ["b/", "b/x"], skipped: [], failed: ["a: denied"] });
  },
});

Deno.test("walkLocal() names what disappears meanwhile, and goes on", async () => {
  await using dir = new TempDir();
  fill(dir, ["a", "b", "c/x", "d/x", "e"]);
  const skipped: string[] = [];
  const walk = walkLocal(dir.path, {
    onError: () => assert(false),
    onSkip: ({ path, reason }) => skipped.push(`${path.slice(dir.path.length + 1)}: ${reason}`),
  });
  assertEquals((await walk.next()).value?.name, "a");
  Deno.removeSync(dir.join("b"));
  Deno.removeSync(dir.join("c"), { recursive: true });
  assertEquals((await walk.next()).value?.name, "d");
  Deno.removeSync(dir.join("d"), { recursive: true });
  assertEquals((await Array.fromAsync(walk)).map(({ name }) => name), ["e"]);
  assertEquals(skipped, ["b", "c", "d/x"].map((name) => `${name}: it vanished meanwhile`));
});

Deno.test("expandGlobs() leaves alone what is no glob", async () => {
  const args = ["a", "", "missing/file", "a\\*", "/x y", "a[", "{a", "--x"];
  assertEquals(await expandGlobs(args), args);
});

Deno.test("expandGlobs() expands as a shell does", async () => {
  await using dir = new TempDir();
  fill(dir, [
    ...["a.txt", "b.txt", "b.jpg", ".hidden.txt", "d/c.txt", "d/e/f.txt", "d/.x/g.txt", "h/c.txt"],
  ]);
  const expanded = async (glob: string) =>
    (await expandGlobs([dir.join(glob)])).map((path) => path.slice(dir.path.length + 1));
  const table: [glob: string, paths: string[]][] = [
    ["*", ["a.txt", "b.jpg", "b.txt", "d", "h"]],
    ["*.txt", ["a.txt", "b.txt"]],
    [".*.txt", [".hidden.txt"]],
    ["?.jpg", ["b.jpg"]],
    ["[!a].*", ["b.jpg", "b.txt"]],
    ["{a,b}.txt", ["a.txt", "b.txt"]],
    ["*/c.txt", ["d/c.txt", "h/c.txt"]],
    ["{d,h}/c*", ["d/c.txt", "h/c.txt"]],
    ["d/../?.jpg", ["d/../b.jpg"]],
    ["d/*/", ["d/e/"]],
    ["**/", ["", "d/", "d/e/", "h/"]],
    ["**/c.txt", ["d/c.txt", "h/c.txt"]],
    ["**/*.txt", ["a.txt", "b.txt", "d/c.txt", "d/e/f.txt", "h/c.txt"]],
    ["d/**", ["d/c.txt", "d/e", "d/e/f.txt"]],
    ["**/**/f.txt", ["d/e/f.txt"]],
    ["*/\\c.txt", ["d/c.txt", "h/c.txt"]],
  ];
  for (const [glob, paths] of table) assertEquals(await expanded(glob), paths, glob);
});

Deno.test("expandGlobs() of a relative path looks in the working directory", async () => {
  assertEquals(await expandGlobs(["deno.js?n", "x", "./lib/core/errors.[t]s"]), [
    ...["deno.json", "x", "./lib/core/errors.ts"],
  ]);
});

Deno.test("expandGlobs() does not take the name of a file for a glob", async () => {
  await using dir = new TempDir();
  fill(dir, ["[a].txt", "a.txt", "d*/x", "d1/x"]);
  assertEquals(await expandGlobs([dir.join("[a].txt")]), [dir.join("[a].txt")]);
  assertEquals(await expandGlobs([dir.join("d*")]), [dir.join("d*")]);
});

Deno.test("expandGlobs() descends into no link", async () => {
  await using dir = new TempDir();
  fill(dir, ["d/x"]);
  Deno.symlinkSync("..", dir.join("d/up"));
  assertEquals(await expandGlobs([dir.join("**/x")]), [dir.join("d/x")]);
  assertEquals(await expandGlobs([dir.join("d/*/d/x")]), [dir.join("d/up/d/x")]);
});

Deno.test("expandGlobs() names a glob that matches nothing", async () => {
  await using dir = new TempDir();
  fill(dir, ["a.txt"]);
  for (const glob of ["*.jpg", "missing/*", "a.txt/*", "**/x"]) {
    const error = await assertCode("not_found", () => expandGlobs(["a", dir.join(glob)]));
    assertEquals(error.reason, `nothing matches "${dir.join(glob)}"`);
  }
});

Deno.test("expandGlobs() reports what matches and has a name that is not UTF-8", async () => {
  await using dir = new TempDir();
  fill(dir, ["a.txt"]);
  run("sh", ["-c", `touch "$(printf 'b\\377.txt')" "$(printf 'c\\377.jpg')"`], dir.path);
  const failed: string[] = [];
  const onError = (path: string, { code }: FerryError) => {
    failed.push(`${path.slice(dir.path.length + 1)}: ${code}`);
  };
  assertEquals(await expandGlobs([dir.join("*.txt")], { onError }), [dir.join("a.txt")]);
  assertEquals(failed, ["b\ufffd.txt: bad_name"]);
});
