import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { Pair } from "../support/pair.ts";
import { ferry, stagedIn } from "../support/programs.ts";
import { md5 } from "../support/bytes.ts";

/** Runs ferry with `--json` and returns the events. */
async function eventsOf(p: Pair, ...args: string[]) {
  const { code, stdout, stderr } = await p.run(...args, "--json");
  assertEquals(stderr, "");
  const events = stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return { code, events, summary: events.at(-1) };
}

/** Makes files in the working directory; a name that ends with a slash is a directory. */
function make(p: Pair, files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = `${p.cwd}/${name}`;
    const isDirectory = name.endsWith("/");
    const directory = isDirectory ? path : path.slice(0, path.lastIndexOf("/"));
    Deno.mkdirSync(directory, { recursive: true });
    if (!isDirectory) p.write(name, content);
  }
}

/** The entries below a directory: names of directories end with a slash, files have their md5. */
function treeOf(root: string, prefix = ""): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const { name, isDirectory } of Deno.readDirSync(root)) {
    if (name === ".ferry" && prefix === "") continue;
    if (isDirectory) {
      Object.assign(
        tree,
        { [`${prefix}${name}/`]: "" },
        treeOf(`${root}/${name}`, `${prefix}${name}/`),
      );
    } else tree[prefix + name] = md5(Deno.readFileSync(`${root}/${name}`));
  }
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => a < b ? -1 : 1));
}

const TREE = {
  "t/a.txt": "a",
  "t/empty": "",
  "t/sub/文件.txt": "b",
  "t/sub/deep/er/🚢": "c",
  "t/large": new Uint8Array(3_000_000).fill(5),
  "t/hollow/": "",
  "t/sub/hollow/": "",
};

Deno.test("ferry put and get move a directory there and back, empty ones included", async () => {
  await using p = await Pair.shared();
  make(p, TREE);
  const put = await p.run("put", "t");
  assertEquals(put.code, 0);
  assertEquals(put.stdout.split("\n").filter(Boolean).length, 5);
  assertStringIncludes(put.stdout, `${md5("c")}  t/sub/deep/er/🚢\n`);
  assertEquals(put.stderr, "ferry: 5 transferred (2.86 MiB), 0 unchanged\n".replace("2.86", "2.9"));
  assertEquals(treeOf(`${p.root}/t`), treeOf(`${p.cwd}/t`));
  const get = await p.run("get", "t", "--out", "back");
  assertEquals(get.code, 0);
  assertStringIncludes(get.stdout, `${md5("c")}  back/sub/deep/er/🚢\n`);
  assertEquals(treeOf(`${p.cwd}/back`), treeOf(`${p.cwd}/t`));
  const into = await p.run("get", "t/sub", "--out", "back/");
  assertEquals(into.code, 0);
  assertEquals(treeOf(`${p.cwd}/back/sub`), treeOf(`${p.cwd}/t/sub`));
  assertEquals(stagedIn(p.root), []);
});

Deno.test("ferry put and get of an unchanged directory move no file", async () => {
  await using p = await Pair.shared();
  make(p, TREE);
  assertEquals((await eventsOf(p, "put", "t")).summary.files, 5);
  const again = await eventsOf(p, "put", "t");
  assertEquals([again.code, again.summary.files, again.summary.skipped, again.summary.bytes], [
    0,
    0,
    5,
    0,
  ]);
  assertEquals((await eventsOf(p, "get", "t", "--out", "back")).summary.files, 5);
  // "back" is an existing directory now, and the same command still means the same.
  const back = await eventsOf(p, "get", "t", "--out", "back");
  assertEquals([back.summary.files, back.summary.skipped], [0, 5]);
  // With a trailing slash, the tree goes into the directory.
  assertEquals((await eventsOf(p, "get", "t", "--out", "back/")).summary.files, 5);
  const third = await eventsOf(p, "get", "t", "--out", "back/");
  assertEquals([third.summary.files, third.summary.skipped], [0, 5]);
  for (const name of ["t/a.txt", "back/a.txt", "back/t/large"]) {
    const source = Deno.statSync(
      `${p.cwd}/${name.replace("back/t/", "t/").replace("back/", "t/")}`,
    );
    assertEquals(Deno.statSync(`${p.cwd}/${name}`).mtime, source.mtime, name);
  }
});

Deno.test("ferry put of a directory sends what changed, as --overwrite says", async () => {
  await using p = await Pair.shared();
  make(p, TREE);
  assertEquals((await eventsOf(p, "put", "t")).code, 0);
  make(p, { "t/a.txt": "A" });
  Deno.utimeSync(`${p.cwd}/t/a.txt`, 1000, 1000);
  const refused = await eventsOf(p, "put", "t");
  assertEquals([refused.code, refused.summary.failed], [5, 1]);
  assertEquals(refused.events.find(({ event }) => event === "error").code, "exists");
  const same = await eventsOf(p, "put", "t", "--overwrite", "newer");
  assertEquals([same.code, same.summary.files], [0, 0]);
  const changed = await eventsOf(p, "put", "t", "--overwrite", "different");
  assertEquals([changed.code, changed.summary.files, changed.summary.skipped], [0, 1, 4]);
  assertEquals(Deno.readTextFileSync(`${p.root}/t/a.txt`), "A");
});

Deno.test("ferry put of a directory whose times changed compares contents, and sends nothing", async () => {
  await using p = await Pair.shared();
  make(p, TREE);
  assertEquals((await eventsOf(p, "put", "t")).code, 0);
  for (const name of ["a.txt", "large"]) Deno.utimeSync(`${p.cwd}/t/${name}`, 2000, 2000);
  const again = await eventsOf(p, "put", "t");
  assertEquals([again.code, again.summary.files, again.summary.skipped], [0, 0, 5]);
});

Deno.test("ferry put --checksum-compare finds a change that size and time hide", async () => {
  await using p = await Pair.shared();
  make(p, TREE);
  assertEquals((await eventsOf(p, "put", "t")).code, 0);
  const { mtime } = Deno.statSync(`${p.cwd}/t/a.txt`);
  make(p, { "t/a.txt": "A" });
  Deno.utimeSync(`${p.cwd}/t/a.txt`, mtime!, mtime!);
  assertEquals((await eventsOf(p, "put", "t", "--overwrite", "different")).summary.files, 0);
  const checked = await eventsOf(p, "put", "t", "--overwrite", "different", "--checksum-compare");
  assertEquals([checked.code, checked.summary.files], [0, 1]);
  assertEquals(Deno.readTextFileSync(`${p.root}/t/a.txt`), "A");
});

Deno.test("ferry put and get --include, --exclude and --dry-run choose", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a.txt": "a", "t/b.log": "b", "t/node_modules/x/y.txt": "y", "t/s/c.txt": "c" });
  const dry = await p.run(
    "put",
    "t",
    "--exclude",
    "node_modules",
    "--exclude",
    "*.log",
    "--dry-run",
  );
  assertEquals([dry.code, dry.stdout], [0, "would put t/a.txt\nwould put t/s/c.txt\n"]);
  assertEquals(treeOf(p.root), {});
  assertEquals((await p.run("put", "t", "--exclude", "node_modules")).code, 0);
  assertEquals(Object.keys(treeOf(p.root)), ["t/", "t/a.txt", "t/b.log", "t/s/", "t/s/c.txt"]);
  const dryGet = await p.run("get", "t", "--out", "back", "--include", "*.txt", "-n");
  assertEquals([dryGet.code, dryGet.stdout], [0, "would get back/a.txt\nwould get back/s/c.txt\n"]);
  assertEquals((await p.run("get", "t", "--out", "back", "--include", "*.txt")).code, 0);
  assertEquals(Object.keys(treeOf(`${p.cwd}/back`)), ["a.txt", "s/", "s/c.txt"]);
});

Deno.test("ferry put skips symbolic links with a notice, and follows them with --follow", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a": "a" });
  Deno.symlinkSync("a", `${p.cwd}/t/link`);
  const skipped = await p.run("put", "t");
  assertEquals(skipped.code, 0);
  assertStringIncludes(skipped.stderr, 'ferry: skipped "t/link": symbolic link\n');
  assertEquals(Object.keys(treeOf(`${p.root}/t`)), ["a"]);
  assertEquals((await p.run("put", "t", "--follow")).code, 0);
  assertEquals(treeOf(`${p.root}/t`), { a: md5("a"), link: md5("a") });
});

Deno.test("ferry goes on with the other files where one fails, in both directions", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a": "a", "t/b": "b", "t/c": new Uint8Array(2_000_000), "t/d": "d" });
  Deno.mkdirSync(`${p.root}/t/b`, { recursive: true });
  Deno.mkdirSync(`${p.root}/t/c`, { recursive: true });
  const put = await p.run("put", "t");
  assertEquals(put.code, 5);
  assertStringIncludes(put.stderr, 'Cannot put "t/b": it is a directory');
  assertStringIncludes(put.stderr, "ferry: 2 transferred (2 B), 0 unchanged, 2 failed\n");
  Deno.removeSync(`${p.root}/t/b`);
  Deno.writeTextFileSync(`${p.root}/t/b`, "B");
  const get = await p.run("get", "t");
  assertEquals(get.code, 5);
  assertStringIncludes(get.stderr, 'Cannot get "t/b": another file is at "t/b"');
  assertEquals(Deno.readTextFileSync(`${p.cwd}/t/b`), "b");
});

Deno.test("ferry put and get of a directory that is missing, or none, say so", async () => {
  await using p = await Pair.shared();
  make(p, { "f": "x" });
  assertEquals((await p.run("put", "nope/")).code, 4);
  assertEquals((await p.run("get", "nope")).code, 4);
  assertEquals((await p.run("put", "*.none")).code, 4);
  assertEquals((await p.run("put", "f", "f", "--as", "x")).code, 2);
});

Deno.test("ferry put of a directory goes on where the connection is lost while it is compared", async () => {
  await using p = await Pair.start(["--durability", "none"]);
  const name = "n".repeat(240);
  const files = Array.from({ length: 700 }, (_, i) => [`t/${i % 7}/${name}${i}`, `${i}`] as const);
  make(p, Object.fromEntries(files));
  // Some 200 KB of names are sent before the first file.
  await using peer = FaultyPeer.start(p.server.port, {
    faults: [{ kind: "reset", direction: "up", at: 100_000 }],
  });
  const { code, stdout } = await ferry(["put", "t", "--json"], {
    cwd: p.cwd,
    server: peer.address,
  });
  assertEquals([code, peer.pending], [0, 0]);
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(events.filter(({ event }) => event === "retry").length, 1);
  assertEquals(events.at(-1).files, files.length);
  assertEquals(treeOf(`${p.root}/t`), treeOf(`${p.cwd}/t`));
});

Deno.test("ferry put of a glob that the shell did not expand, with --to", async () => {
  await using p = await Pair.shared();
  make(p, { "a.txt": "a", "b.txt": "b", "c.log": "c" });
  assertEquals((await p.run("put", "*.txt", "--to", "/inbox")).code, 0);
  assertEquals(Object.keys(treeOf(p.root)), ["inbox/", "inbox/a.txt", "inbox/b.txt"]);
});

Deno.test("ferry put and get move hundreds of small files on one connection", async () => {
  await using p = await Pair.start(["--durability", "none"]);
  const files: Record<string, string> = {};
  for (let n = 0; n < 600; n++) files[`t/${n % 20}/${n}`] = `content of ${n}`;
  make(p, files);
  const put = await eventsOf(p, "put", "t");
  assertEquals([put.code, put.summary.files, put.summary.failed], [0, 600, 0]);
  const get = await eventsOf(p, "get", "t", "--out", "back", "--durability", "none");
  assertEquals([get.code, get.summary.files, get.summary.failed], [0, 600, 0]);
  assertEquals(treeOf(`${p.cwd}/back`), treeOf(`${p.cwd}/t`));
  const { stderr } = await p.server.stop();
  assert(!stderr.includes("internal"), stderr);
});
