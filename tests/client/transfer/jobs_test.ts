import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Connection } from "../../../client/net/connection.ts";
import { type Connections, eachOf } from "../../../client/transfer/jobs.ts";
import { Pair } from "../../support/pair.ts";
import { MIB } from "../../support/bytes.ts";

/** Connections that are only told apart. */
const [A, B] = ["a", "b"] as unknown as [Connection, Connection];
const TWO: Connections = [A, B];

Deno.test("eachOf() hands out each item once, to whoever is free", async () => {
  const taken: [Connection, number][] = [];
  const release = Promise.withResolvers<void>();
  await eachOf(TWO, [1, 2, 3, 4], async (connection, share) => {
    for await (const item of share) {
      taken.push([connection, item]);
      if (connection === A) await release.promise;
      else if (item === 4) release.resolve();
    }
  });
  assertEquals(taken, [[A, 1], [B, 2], [B, 3], [B, 4]]);
});

Deno.test("eachOf() lets the others go on when one fails, and fails then", async () => {
  const done: number[] = [];
  const error = await assertRejects(() =>
    eachOf(TWO, [1, 2, 3], async (connection, share) => {
      for await (const item of share) {
        if (connection === A) throw new Error(`lost at ${item}`);
        done.push(item);
      }
    }), Error);
  assertEquals([error.message, done], ["lost at 1", [2, 3]]);
});

/** How many connections a server has had. */
async function connectionsOf(p: Pair): Promise<number> {
  const { stderr } = await p.server.stop();
  return stderr.split("\n").filter((line) => / connected$/.test(line)).length;
}

Deno.test("ferry --jobs moves a directory over so many connections", async () => {
  for (const [jobs, connections] of [["1", 2], ["3", 6]] as const) {
    await using p = await Pair.start(["--verbose", "--durability", "none"]);
    Deno.mkdirSync(`${p.cwd}/t`);
    for (let n = 0; n < 300; n++) p.write(`t/${n}`, `content of ${n}`);
    for (let n = 0; n < 4; n++) p.write(`t/large-${n}`, new Uint8Array(3 * MIB).fill(n));
    const put = await p.run("put", "t", "--jobs", jobs);
    assertEquals([put.code, put.stdout.split("\n").length], [0, 305], put.stderr);
    const get = await p.run("get", "t", "--out", "back", "--jobs", jobs, "--durability", "none");
    assertEquals([get.code, get.stdout.split("\n").length], [0, 305], get.stderr);
    for (const { name } of Deno.readDirSync(`${p.cwd}/t`)) {
      const [before, after] = ["t", "back"].map((at) =>
        Deno.readFileSync(`${p.cwd}/${at}/${name}`)
      );
      assertEquals(before, after, name);
    }
    assertEquals(await connectionsOf(p), connections);
  }
});

Deno.test("ferry --jobs moves several files at a time, and reports each that fails", async () => {
  await using p = await Pair.start(["--verbose"]);
  const names = ["a", "b", "c", "d"];
  for (const name of names) p.write(name, name);
  const put = await p.run("put", ...names, "missing", "--jobs", "3");
  assertEquals(put.code, 4);
  assertEquals(
    put.stderr,
    'ferry: Cannot put "missing": no such file or directory (on this machine)\n',
  );
  assertEquals(names.map((name) => Deno.readTextFileSync(`${p.root}/${name}`)), names);
  Deno.mkdirSync(`${p.cwd}/got`);
  const get = await p.run("get", ...names, "missing", "--out", "got", "--jobs", "8");
  assertEquals([get.code, get.stdout.split("\n").length], [4, 5]);
  assertEquals(names.map((name) => Deno.readTextFileSync(`${p.cwd}/got/${name}`)), names);
  const connections = await connectionsOf(p);
  assert(connections > 2 && connections <= 3 + 5, `${connections} connections`);
});

Deno.test("ferry --jobs shares one --limit-rate", async () => {
  await using p = await Pair.start();
  const names = ["a", "b", "c", "d"];
  for (const name of names) p.write(name, new Uint8Array(200_000));
  const started = performance.now();
  const { code } = await p.run("put", ...names, "--jobs", "4", "--limit-rate", "1M");
  const seconds = (performance.now() - started) / 1000;
  assertEquals(code, 0);
  // A machine can be slower than the limit, not faster; a tenth of a second may be made up for.
  assert(seconds >= 0.7, `800 kB crossed in ${seconds} s`);
});

Deno.test("ferry --jobs takes a number that makes sense", async () => {
  await using p = await Pair.start();
  for (const jobs of ["0", "65", "two"]) {
    const { code, stderr } = await p.run("put", ".", "--jobs", jobs);
    assertEquals([code, stderr], [
      2,
      `ferry: --jobs takes a whole number from 1 to 64, not "${jobs}"\n`,
    ]);
  }
});
