import { assert, assertEquals } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { filesBelow } from "../support/programs.ts";
import { KIB, MIB } from "../support/bytes.ts";
import { randomBytes } from "../support/random_file.ts";

const SMALL = randomBytes(4 * KIB, 1);
const LARGE = randomBytes(3 * MIB, 2);

/** A tree here, which the server has been sent: `t` with two small files and a large one. */
async function trees(): Promise<Pair> {
  const p = await Pair.shared();
  Deno.mkdirSync(`${p.cwd}/t/a`, { recursive: true });
  for (const [name, bytes] of [["a/one", SMALL], ["a/two", "two\n"], ["large", LARGE]] as const) {
    const path = p.write(`t/${name}`, bytes);
    Deno.utimeSync(path, new Date(), new Date(1_700_000_000_000));
  }
  assertEquals((await p.run("put", "t")).code, 0);
  return p;
}

/** Puts something; the events of the files, by their names, and the summary. */
async function putAgain(p: Pair, ...args: string[]) {
  const { code, stdout, stderr } = await p.run("put", "--json", ...args);
  assertEquals(code, 0, stdout + stderr);
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  const summary = events.find(({ event }) => event === "summary");
  const files = events.filter(({ event }) => event === "done" || event === "planned");
  return { summary, files: new Map(files.map((file) => [file.filename, file])) };
}

function assertSame(p: Pair, tree = "t"): void {
  for (const name of filesBelow(`${p.cwd}/${tree}`)) {
    const [here, there] = [p.cwd, p.root].map((at) => `${at}/${tree}/${name}`);
    if (Deno.statSync(here!).isDirectory) continue;
    assertEquals(Deno.readFileSync(there!), Deno.readFileSync(here!), name);
    assertEquals(Deno.statSync(there!).mtime, Deno.statSync(here!).mtime, name);
  }
}

Deno.test("ferry put sends nothing of files that were renamed", async () => {
  await using p = await trees();
  Deno.renameSync(`${p.cwd}/t/a`, `${p.cwd}/t/b`);
  Deno.renameSync(`${p.cwd}/t/large`, `${p.cwd}/t/b/LARGE`);
  const planned = await putAgain(p, "t", "--dry-run");
  assertEquals(planned.files.get("t/b/LARGE").known, "t/large");
  assertEquals(planned.summary.copied, 3);
  assert(!filesBelow(`${p.root}/t`).includes("b"), "a dry run has made something");
  const { files, summary } = await putAgain(p, "t");
  for (const [name, from] of [["one", "a/one"], ["two", "a/two"], ["LARGE", "large"]]) {
    const { bytes_sent, known } = files.get(`t/b/${name}`);
    assertEquals({ bytes_sent, known }, { bytes_sent: 0, known: `t/${from}` });
  }
  assertEquals([summary.files, summary.copied, summary.bytes], [3, 3, 0]);
  assertSame(p);
  // Another directory, which is a copy with other times.
  Deno.renameSync(`${p.cwd}/t`, `${p.cwd}/u`);
  Deno.utimeSync(`${p.cwd}/u/b/two`, new Date(), new Date(1_600_000_000_000));
  assertEquals((await putAgain(p, "u")).summary.bytes, 0);
  assertSame(p, "u");
  assertEquals((await putAgain(p, "u")).summary.files, 0);
});

Deno.test("ferry put sends nothing of files that have taken each other's names", async () => {
  await using p = await trees();
  Deno.renameSync(`${p.cwd}/t/a/one`, `${p.cwd}/t/a/three`);
  Deno.renameSync(`${p.cwd}/t/a/two`, `${p.cwd}/t/a/one`);
  Deno.renameSync(`${p.cwd}/t/large`, `${p.cwd}/t/a/two`);
  const { summary } = await putAgain(p, "t", "--overwrite", "different");
  assertEquals([summary.copied, summary.bytes], [3, 0]);
  assertSame(p);
});

Deno.test("ferry put sends what only looked like a known content", async () => {
  await using p = await trees();
  Deno.renameSync(`${p.cwd}/t/a`, `${p.cwd}/t/b`);
  Deno.renameSync(`${p.cwd}/t/large`, `${p.cwd}/t/b/LARGE`);
  // As programs beside the server may do: the index still has the names.
  for (
    const [name, bytes] of [["a/one", SMALL.toReversed()], ["large", LARGE.toReversed()]] as const
  ) {
    Deno.writeFileSync(`${p.root}/t/${name}`, bytes);
  }
  const { files, summary } = await putAgain(p, "t");
  assertEquals(files.get("t/b/one").bytes_sent, SMALL.length);
  assertEquals(files.get("t/b/LARGE").bytes_sent, LARGE.length);
  assertEquals(files.get("t/b/LARGE").known, undefined);
  assertEquals([summary.copied, summary.bytes], [1, SMALL.length + LARGE.length]);
  assertSame(p);
});
