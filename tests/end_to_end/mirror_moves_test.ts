import { assert, assertEquals } from "@std/assert";
import { connect, Filter } from "../../mod.ts";
import { Pair } from "../support/pair.ts";
import { filesBelow } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";

/** A tree here, which the server has been sent: two directories with files, and an empty one. */
async function trees(): Promise<Pair> {
  const p = await Pair.shared();
  for (const directory of ["t/a/sub", "t/a/empty", "t/b"]) {
    Deno.mkdirSync(`${p.cwd}/${directory}`, { recursive: true });
  }
  for (const [at, name] of ["a/one", "a/two", "a/sub/one", "b/one"].entries()) {
    const path = p.write(`t/${name}`, randomBytes(1000, at));
    Deno.utimeSync(path, new Date(), new Date(1_700_000_000_000 + at));
  }
  assertEquals((await p.run("put", "t")).code, 0);
  return p;
}

/** The inodes of the files of the server, by their content. */
function inodes(p: Pair): Map<string, number | null> {
  const all = filesBelow(`${p.root}/t`).map((name) => `${p.root}/t/${name}`);
  const files = all.filter((path) => Deno.statSync(path).isFile);
  return new Map(
    files.map((path) => [Deno.readFileSync(path).toString(), Deno.statSync(path).ino]),
  );
}

/** Mirrors the tree; the events of the files that have changed, by their names. */
async function mirror(p: Pair, ...args: string[]) {
  const { code, stdout, stderr } = await p.run("put", "t", "--delete", "--json", ...args);
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  const done = events.filter(({ event, skipped }) => event === "done" && !skipped);
  return { code, stderr, events, files: new Map(done.map((file) => [file.filename, file])) };
}

function assertSame(p: Pair): void {
  assertEquals(filesBelow(`${p.root}/t`), filesBelow(`${p.cwd}/t`));
}

Deno.test("ferry put --delete moves what has only another name", async () => {
  await using p = await trees();
  const before = inodes(p);
  Deno.renameSync(`${p.cwd}/t/a`, `${p.cwd}/t/c`);
  Deno.renameSync(`${p.cwd}/t/b/one`, `${p.cwd}/t/b/two`);
  const { code, files } = await mirror(p);
  assertEquals(code, 0);
  assertEquals([...files.keys()].sort(), ["t/b/two", "t/c/one", "t/c/sub/one", "t/c/two"]);
  assertEquals(files.get("t/c/sub/one").known, "t/a/sub/one");
  assertEquals(files.get("t/b/two").known, "t/b/one");
  assert([...files.values()].every(({ bytes_sent }) => bytes_sent === 0));
  assertEquals(inodes(p), before);
  assertSame(p);
  assertEquals((await mirror(p)).files.size, 0);
});

Deno.test("ferry put --delete moves single files where a directory has changed as well", async () => {
  await using p = await trees();
  const before = inodes(p);
  Deno.renameSync(`${p.cwd}/t/a`, `${p.cwd}/t/c`);
  p.write("t/c/new", "new");
  Deno.removeSync(`${p.cwd}/t/c/two`);
  const { code, files } = await mirror(p);
  assertEquals(code, 0);
  assertEquals(files.get("t/c/one").known, "t/a/one");
  assertEquals(files.get("t/c/new").bytes_sent, 3);
  assertSame(p);
  for (const [content, inode] of inodes(p)) {
    if (content.length > 3 && before.has(content)) assertEquals(inode, before.get(content));
  }
});

Deno.test("ferry put --delete does not move what only looks the same", async () => {
  await using p = await trees();
  Deno.renameSync(`${p.cwd}/t/a`, `${p.cwd}/t/c`);
  const { mtime } = Deno.statSync(`${p.cwd}/t/c/two`);
  const two = p.write("t/c/two", randomBytes(1000, 77));
  Deno.utimeSync(two, new Date(), mtime!);
  const { code, files } = await mirror(p);
  assertEquals(code, 0);
  assertEquals(files.get("t/c/two").bytes_sent, 1000);
  assertEquals(files.get("t/c/one").known, "t/a/one");
  assertEquals(Deno.readFileSync(`${p.root}/t/c/two`), Deno.readFileSync(two));
  assertSame(p);
});

Deno.test("ferry put --delete moves nothing where something else has failed", async () => {
  await using p = await trees();
  Deno.renameSync(`${p.cwd}/t/a`, `${p.cwd}/t/c`);
  const long = `${"x".repeat(250)}`;
  p.write(`t/${long}`, "x");
  // A directory that is in the way stays where the filter keeps what is in it.
  Deno.mkdirSync(`${p.root}/t/${long}`);
  Deno.writeTextFileSync(`${p.root}/t/${long}/stays`, "");
  await using client = await connect(p.server.address);
  const failed: string[] = [];
  const done = new Map<string, string | undefined>();
  await client.putTree(`${p.cwd}/t`, {
    as: "t",
    filter: new Filter({ exclude: ["stays"] }),
    delete: true,
    onFile: ({ filename, known }) => done.set(filename, known),
    onError: (filename) => failed.push(filename),
  });
  assert(failed.includes(`t/${long}`), failed.join());
  assertEquals(done.get("t/c/one"), "t/a/one");
  const there = filesBelow(`${p.root}/t`);
  for (const name of ["a/one", "c/one", "a/sub/one", "c/sub/one"]) {
    assert(there.includes(name), `${name} is missing`);
  }
});
