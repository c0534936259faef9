import { assert, assertEquals, assertMatch } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { filesBelow } from "../support/programs.ts";
import { KIB, MIB } from "../support/bytes.ts";
import { randomBytes } from "../support/random_file.ts";

const SMALL = randomBytes(4 * KIB, 1);
const LARGE = randomBytes(3 * MIB, 2);

/** A tree on the server, and the same here: `t` with two small files and a large one. */
async function trees(): Promise<Pair> {
  const p = await Pair.shared();
  for (const [name, bytes] of [["a/one", SMALL], ["a/two", "two\n"], ["large", LARGE]] as const) {
    Deno.mkdirSync(`${p.root}/t/a`, { recursive: true });
    if (typeof bytes === "string") Deno.writeTextFileSync(`${p.root}/t/${name}`, bytes);
    else Deno.writeFileSync(`${p.root}/t/${name}`, bytes);
    Deno.utimeSync(`${p.root}/t/${name}`, new Date(), new Date(1_700_000_000_000));
  }
  assertEquals((await p.run("get", "t")).code, 0);
  return p;
}

/** Gets the tree again; the events of the files, by their names, and the summary. */
async function getAgain(p: Pair, ...args: string[]) {
  const { code, stdout, stderr } = await p.run("get", "t", "--json", ...args);
  assertEquals(code, 0, stderr);
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  const summary = events.find(({ event }) => event === "summary");
  const files = events.filter(({ event }) => event === "done" || event === "planned");
  return { summary, files: new Map(files.map((file) => [file.filename, file])) };
}

Deno.test("ferry get copies what was renamed on the server from what is here", async () => {
  await using p = await trees();
  Deno.renameSync(`${p.root}/t/a`, `${p.root}/t/b`);
  Deno.renameSync(`${p.root}/t/large`, `${p.root}/t/b/LARGE`);
  const planned = await getAgain(p, "--dry-run");
  assertEquals(planned.files.get("t/b/LARGE").known, "t/large");
  assertEquals(planned.summary.copied, 3);
  assert(!filesBelow(`${p.cwd}/t`).includes("b"), "a dry run has made something");
  const { files, summary } = await getAgain(p);
  for (const [name, from] of [["one", "a/one"], ["two", "a/two"], ["LARGE", "large"]]) {
    const { bytes_received, known } = files.get(`t/b/${name}`);
    assertEquals({ bytes_received, known }, { bytes_received: 0, known: `t/${from}` });
    const [here, there] = [p.cwd, p.root].map((at) => `${at}/t/b/${name}`);
    assertEquals(Deno.readFileSync(here!), Deno.readFileSync(there!));
    assertEquals(Deno.statSync(here!).mtime, Deno.statSync(there!).mtime);
  }
  const { bytes, copied } = summary;
  assertEquals({ files: summary.files, bytes, copied }, { files: 3, bytes: 0, copied: 3 });
  const { stderr } = await p.run("get", "t");
  assertMatch(stderr, /0 transferred \(0 B\), 3 unchanged/m);
});

Deno.test("ferry get takes nothing for known that has another content", async () => {
  await using p = await trees();
  Deno.renameSync(`${p.root}/t/a`, `${p.root}/t/b`);
  Deno.renameSync(`${p.root}/t/large`, `${p.root}/t/b/LARGE`);
  for (
    const [name, bytes] of [["a/one", SMALL.toReversed()], ["large", LARGE.toReversed()]] as const
  ) {
    Deno.writeFileSync(`${p.cwd}/t/${name}`, bytes);
    Deno.utimeSync(`${p.cwd}/t/${name}`, new Date(), new Date(1_700_000_000_000));
  }
  const { files, summary } = await getAgain(p);
  assertEquals(files.get("t/b/one").bytes_received, SMALL.length);
  assertEquals(files.get("t/b/one").known, undefined);
  assertEquals(files.get("t/b/LARGE").bytes_received, LARGE.length);
  assertEquals(files.get("t/b/two").known, "t/a/two");
  assertEquals([summary.copied, summary.bytes], [1, SMALL.length + LARGE.length]);
  assertEquals(Deno.readFileSync(`${p.cwd}/t/b/LARGE`), LARGE);
});
