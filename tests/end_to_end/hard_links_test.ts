import { assert, assertEquals } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { randomBytes } from "../support/random_file.ts";
import { md5, MIB } from "../support/bytes.ts";

/** Files with several names, of all the sizes that are transferred in ways of their own, and two that are alike. */
function plant(directory: string): void {
  Deno.mkdirSync(`${directory}/t/sub`, { recursive: true });
  const sizes = { small: 1000, middle: 300_000, large: 2 * MIB, whole: 9 * MIB };
  for (const [name, size] of Object.entries(sizes)) {
    Deno.writeFileSync(`${directory}/t/${name}`, randomBytes(size, size));
    Deno.linkSync(`${directory}/t/${name}`, `${directory}/t/again-${name}`);
    Deno.linkSync(`${directory}/t/${name}`, `${directory}/t/sub/${name}`);
  }
  Deno.writeTextFileSync(`${directory}/t/one`, "x");
  Deno.writeTextFileSync(`${directory}/t/other`, "y");
}

const BYTES = 1000 + 300_000 + 2 * MIB + 9 * MIB + 2;

/** The md5 of each file below a directory; fails where two of them are one file. */
function filesIn(directory: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const prefix of ["", "sub/"]) {
    for (const { name, isFile } of Deno.readDirSync(`${directory}/${prefix}`)) {
      if (!isFile) continue;
      const path = `${directory}/${prefix}${name}`;
      assertEquals(Deno.statSync(path).nlink, 1, `${path} has other names`);
      files[prefix + name] = md5(Deno.readFileSync(path));
    }
  }
  return files;
}

/** Runs a command with `--json`, and returns its events. */
async function eventsOf(p: Pair, ...args: string[]) {
  const { code, stdout, stderr } = await p.run(...args, "--json");
  assertEquals([code, stderr], [0, ""]);
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("ferry get of several names of one file transfers its content once", async () => {
  await using p = await Pair.shared();
  plant(p.root);
  const events = await eventsOf(p, "get", "t");
  const { files, bytes } = events.at(-1);
  assertEquals([files, bytes], [14, BYTES]);
  assertEquals(events.filter(({ known }) => known !== undefined).length, 8);
  const there = filesIn(`${p.cwd}/t`);
  assertEquals(Object.keys(there).length, 14);
  for (const [name, digest] of Object.entries(there)) {
    assertEquals(digest, md5(Deno.readFileSync(`${p.root}/t/${name}`)), name);
  }
  assertEquals((await eventsOf(p, "get", "t")).at(-1).skipped, 14);
  // Only some of the names, and those of which one is there already.
  Deno.removeSync(`${p.cwd}/t/sub/whole`);
  Deno.removeSync(`${p.cwd}/t/whole`);
  assertEquals((await eventsOf(p, "get", "t")).at(-1).bytes, 0);
  const some = await eventsOf(p, "get", "t", "--out", "some", "--include", "*whole");
  assertEquals([some.at(-1).files, some.at(-1).bytes], [3, 9 * MIB]);
});

Deno.test("a list tells on request which names are of one file", async () => {
  await using p = await Pair.shared();
  plant(p.root);
  using peer = await p.connect();
  for (const ids of [false, true]) {
    await peer.send({ op: "list", filename: "t", recursive: true, ids });
    let text = "";
    for (let message; !(message = (await peer.receive())!).header.end;) {
      text += new TextDecoder().decode(message.body);
    }
    const lines = text.trim().split("\n").map((line) => JSON.parse(line));
    const named = lines.filter(({ id }) => id !== undefined);
    assertEquals(named.length, ids ? 12 : 0);
    assertEquals(new Set(named.map(({ id }) => id)).size, ids ? 4 : 0);
    assert(named.every(({ id }) => /^[\w-]{22}$/.test(id)));
  }
});

Deno.test("ferry put of several names of one file transfers its content once", async () => {
  await using p = await Pair.shared();
  plant(p.cwd);
  const events = await eventsOf(p, "put", "t");
  const { files, bytes } = events.at(-1);
  assertEquals([files, bytes], [14, BYTES]);
  assertEquals(events.filter(({ known }) => known !== undefined).length, 8);
  const there = filesIn(`${p.root}/t`);
  assertEquals(Object.keys(there).length, 14);
  for (const [name, digest] of Object.entries(there)) {
    assertEquals(digest, md5(Deno.readFileSync(`${p.cwd}/t/${name}`)), name);
  }
  assertEquals((await eventsOf(p, "put", "t")).at(-1).skipped, 14);
  const plain = await eventsOf(p, "put", "t", "--as", "plain", "--no-delta");
  assertEquals([plain.at(-1).files, plain.at(-1).bytes], [14, (BYTES - 2) * 3 + 2]);
});
