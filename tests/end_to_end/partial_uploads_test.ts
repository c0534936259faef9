/** Operations on partial uploads: listing and removing them. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { Ferryd, type Outcome, stagedIn } from "../support/programs.ts";
import { MIB } from "../support/bytes.ts";

const SIZE = 9 * MIB;
const BYTES = new Uint8Array(SIZE).map((_, at) => at * 31 >>> 5);

/** Begins an upload, and closes the connection in the middle. */
async function cut(p: Pair, filename: string): Promise<void> {
  using peer = await p.connect();
  await peer.send({ op: "put", filename, md5: null, total_size: SIZE }, BYTES.subarray(0, 5 * MIB));
  await peer.end();
  assertEquals(await peer.code(), "closed");
}

/** The names of the partial uploads that the server keeps. */
async function kept(p: Pair): Promise<string[]> {
  const { stdout } = await p.run("ls", "--partial", "--json");
  return stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line).filename).sort();
}

function names({ stdout }: Outcome): string[] {
  return stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line))
    .filter(({ event, op, partial }) => event === "done" && op === "remove" && partial)
    .map(({ filename }) => filename);
}

Deno.test("ferry rm --partial removes what is left of uploads, and no file", async () => {
  await using p = await Pair.start();
  for (const name of ["a.iso", "d/b.iso", "d/e/c.iso", "d/log"]) await cut(p, name);
  Deno.writeTextFileSync(`${p.root}/a.iso`, "a file of that name");
  const table: [args: string[], code: number, left: string[]][] = [
    [["nope"], 4, ["a.iso", "d/b.iso", "d/e/c.iso", "d/log"]],
    [["d"], 4, ["a.iso", "d/b.iso", "d/e/c.iso", "d/log"]],
    [["./a.iso"], 0, ["d/b.iso", "d/e/c.iso", "d/log"]],
    [["*.iso"], 4, ["d/b.iso", "d/e/c.iso", "d/log"]],
    [["d/*.iso", "nope"], 4, ["d/e/c.iso", "d/log"]],
    [["**/l*"], 0, ["d/e/c.iso"]],
    [["x", "-r"], 4, ["d/e/c.iso"]],
    [["d/", "-r"], 0, []],
  ];
  for (const [args, code, left] of table) {
    const { code: status, stderr } = await p.run("rm", "--partial", ...args);
    assertEquals([status, await kept(p)], [code, left], `${args}: ${stderr}`);
    if (code === 4) assertStringIncludes(stderr, "Cannot remove the partial upload");
  }
  assertEquals(stagedIn(p.root), []);
  assertEquals(Deno.readTextFileSync(`${p.root}/a.iso`), "a file of that name");
  for (const name of ["a", "b/c"]) await cut(p, name);
  assertEquals(names(await p.run("rm", "--partial", "-r", ".", "--json")), ["a", "b/c"]);
  assertEquals(await kept(p), []);
});

Deno.test("ferry rm --partial leaves an upload that is under way", async () => {
  await using p = await Pair.start();
  await cut(p, "f");
  using peer = await p.connect();
  await peer.send({ op: "put", filename: "f", md5: null, total_size: SIZE });
  await peer.send(BYTES.subarray(0, 5 * MIB));
  while ((await kept(p)).length < 2);
  const { code, stderr } = await p.run("rm", "--partial", "f");
  assertEquals([code, stderr], [
    6,
    'ferry: Cannot remove the partial upload of "f": it is being uploaded at the moment: end that ' +
    "first (on the server)\n",
  ]);
  assertEquals(await kept(p), ["f"], "the other one stays, or both went");
  await peer.send(BYTES.subarray(5 * MIB));
  const { createHash } = await import("node:crypto");
  const md5 = createHash("md5").update(BYTES).digest("hex");
  await peer.send({ end: true, md5, size: SIZE });
  assertEquals(await peer.code(), "ok");
});

Deno.test("an upload for which partial uploads leave no room says so, and how to make it", async () => {
  await using p = await Pair.start(["--quota", "12MiB"]);
  p.dir.write("cwd/other", BYTES);
  await cut(p, "f");
  const reason = "disk quota of 12 MiB reached; your uploads that were cut take ";
  for (const args of [["put", "other"], ["put", "other", "--dry-run"]]) {
    const { code, stderr } = await p.run(...args);
    assertEquals(code, 5);
    assertStringIncludes(stderr, reason);
    assertStringIncludes(stderr, "ferry ls --partial lists them");
    assertStringIncludes(stderr, "ferry rm --partial NAME removes them");
  }
  assertEquals((await p.run("rm", "--partial", "f")).code, 0);
  assertEquals((await p.run("put", "other")).code, 0);
  // Without any partial uploads, nothing is reported.
  p.dir.write("cwd/third", BYTES);
  const { stderr } = await p.run("put", "third");
  assertEquals(stderr, 'ferry: Cannot put "third": disk quota of 12 MiB reached (on the server)\n');
  await p.server.stop();
  p.server = await Ferryd.start(p.root, ["--quota", "12MiB"]);
  assertEquals((await p.run("put", "third")).code, 5, "the removed one is counted");
});
