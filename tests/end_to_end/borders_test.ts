/**
 * The real programs with a tree that spans several file systems.
 */

import { assertEquals } from "@std/assert";
import { Mounts, testWithMount } from "../support/mount.ts";
import { Pair } from "../support/pair.ts";
import { filesBelow } from "../support/programs.ts";
import { MIB } from "../support/bytes.ts";

/** The summary line for a tree of so many files and bytes. */
const moved = (count: number, bytes: string) =>
  `ferry: ${count} transferred (${bytes}), 0 unchanged\n`;

/** Writes a tree that has files on both sides of the border. */
function fill(root: string, files: readonly string[]): void {
  for (const name of files) {
    Deno.mkdirSync(`${root}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${root}/${name}`, name);
  }
}

/** The content of the files of a tree, by name. */
function contents(root: string): Record<string, string> {
  const names = filesBelow(root).sort();
  return Object.fromEntries(names.map((name) => [name, Deno.readTextFileSync(`${root}/${name}`)]));
}

const FILES = ["far/deep/b", "far/a", "near/c", "top"];

testWithMount("ferry get DIR fills a tree in which another file system is mounted", async () => {
  await using p = await Pair.start();
  await using mounts = new Mounts();
  fill(`${p.root}/d`, FILES);
  Deno.mkdirSync(`${p.cwd}/out`);
  mounts.tmpfs(`${p.cwd}/out/far`);
  const first = await p.run("get", "d", "--out", "out");
  assertEquals([first.code, first.stderr], [0, moved(4, "24 B")]);
  assertEquals(contents(`${p.cwd}/out`), contents(`${p.root}/d`));
  const again = await p.run("get", "d", "--out", "out");
  assertEquals([again.code, again.stderr], [0, "ferry: 0 transferred (0 B), 4 unchanged\n"]);
  Deno.writeTextFileSync(`${p.root}/d/far/a`, "changed");
  const changed = await p.run("get", "d", "--out", "out", "--overwrite", "different");
  assertEquals([changed.code, changed.stderr], [0, "ferry: 1 transferred (7 B), 3 unchanged\n"]);
  assertEquals(contents(`${p.cwd}/out`), contents(`${p.root}/d`));
});

testWithMount(
  "ferry get writes to another file system than the working directory's, and over a link to one",
  async () => {
    await using p = await Pair.start();
    await using mounts = new Mounts();
    mounts.tmpfs(p.dir.join("far"));
    const content = new Uint8Array(9 * MIB).fill(7);
    Deno.writeFileSync(`${p.root}/large`, content);
    Deno.writeTextFileSync(`${p.root}/small`, "small");
    Deno.symlinkSync(p.dir.join("far"), `${p.cwd}/link`);
    for (const out of [p.dir.join("far/x"), "link/y", "link/"]) {
      for (const name of ["large", "small"]) {
        const { code, stderr } = await p.run(
          "get",
          name,
          "--out",
          `${out}${out.endsWith("/") ? "" : name}`,
        );
        assertEquals([code, stderr], [0, ""], out);
      }
    }
    assertEquals([...Deno.readDirSync(p.dir.join("far"))].map(({ name }) => name).sort(), [
      "large",
      "small",
      "xlarge",
      "xsmall",
      "ylarge",
      "ysmall",
    ]);
    for (const name of ["large", "xlarge", "ylarge"]) {
      assertEquals(Deno.readFileSync(p.dir.join(`far/${name}`)), content);
    }
  },
);

testWithMount("ferry put DIR compares what is on another file system of the server's", async () => {
  await using p = await Pair.start();
  await using mounts = new Mounts();
  Deno.mkdirSync(`${p.root}/d`);
  mounts.tmpfs(`${p.root}/d/far`);
  fill(`${p.cwd}/d`, FILES);
  const put = async (...args: string[]) => {
    const { code, stderr } = await p.run("put", "d", ...args);
    return [code, stderr];
  };
  assertEquals(await put(), [0, moved(4, "24 B")]);
  assertEquals(await put(), [0, "ferry: 0 transferred (0 B), 4 unchanged\n"]);
  assertEquals(await put("--checksum-compare"), [0, "ferry: 0 transferred (0 B), 4 unchanged\n"]);
  // The size and time are the same, so that only the content differs.
  const { mtime } = Deno.statSync(`${p.cwd}/d/far/a`);
  Deno.writeTextFileSync(`${p.cwd}/d/far/a`, "FAR/A");
  Deno.utimeSync(`${p.cwd}/d/far/a`, mtime!, mtime!);
  assertEquals(await put("--checksum-compare", "--overwrite", "different"), [
    0,
    "ferry: 1 transferred (5 B), 3 unchanged\n",
  ]);
  assertEquals(contents(`${p.root}/d`), contents(`${p.cwd}/d`));
});
