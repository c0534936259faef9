import { assertEquals, assertRejects } from "@std/assert";
import { expandRemoteGlobs, type Lister } from "../client/remote_glob.ts";
import { FerryError } from "../lib/errors.ts";
import type { Entry } from "../lib/header.ts";
import { Pair } from "./pair.ts";

const FILES = [
  "a.txt",
  "b.txt",
  "c.log",
  ".hidden",
  "x[1].txt",
  "d/e.txt",
  "d/f/g.txt",
  "d/.h/i.txt",
];
const DIRECTORIES = ["d", "d/f", "d/.h"];

/** Lists a directory of those files, as a server would. */
const GET = { op: "get" };

const LISTER: Lister = {
  async *list(directory, { recursive }) {
    await Promise.resolve();
    for (const filename of [...FILES, ...DIRECTORIES]) {
      const prefix = directory === "" ? "" : `${directory}/`;
      if (!filename.startsWith(prefix)) continue;
      if (!recursive && filename.slice(prefix.length).includes("/")) continue;
      const type = DIRECTORIES.includes(filename) ? "directory" : "file";
      const entry: Entry = { filename, type, size: 0, mtime: 0, mode: 0, checksum: null };
      yield entry;
    }
  },
};

Deno.test("expandRemoteGlobs() matches as a shell does", async () => {
  const table: [glob: string, names: string[]][] = [
    ["plain", ["plain"]],
    ["*.txt", ["a.txt", "b.txt", "x[1].txt"]],
    ["?.{txt,log}", ["a.txt", "b.txt", "c.log"]],
    [".h*", [".hidden"]],
    ["*", ["a.txt", "b.txt", "c.log", "x[1].txt", "d"]],
    ["x[1].txt", ["x[1].txt"]],
    ["d/*.txt", ["d/e.txt"]],
    ["d/*/*.txt", ["d/f/g.txt"]],
    ["**/*.txt", ["a.txt", "b.txt", "x[1].txt", "d/e.txt", "d/f/g.txt"]],
    ["d/**", ["d/e.txt", "d/f/g.txt"]],
  ];
  for (const [glob, names] of table) {
    assertEquals(await expandRemoteGlobs(LISTER, [glob], GET), names, glob);
  }
  assertEquals(await expandRemoteGlobs(LISTER, ["a.*", "*.txt"], GET), [
    "a.txt",
    "b.txt",
    "x[1].txt",
  ]);
});

Deno.test("expandRemoteGlobs() names a pattern that matches nothing", async () => {
  const error = await assertRejects(() => expandRemoteGlobs(LISTER, ["d/*.jpg"], GET), FerryError);
  assertEquals([error.code, error.message], [
    "not_found",
    'Cannot get "d/*.jpg": nothing on the server matches it',
  ]);
});

Deno.test("ferry get of a pattern brings what matches", async () => {
  await using p = await Pair.start();
  Deno.mkdirSync(`${p.root}/logs/old`, { recursive: true });
  for (const name of ["logs/a.log", "logs/b.log", "logs/c.txt", "logs/old/d.log"]) {
    Deno.writeTextFileSync(`${p.root}/${name}`, name);
  }
  const { code, stderr } = await p.run("get", "logs/*.log");
  assertEquals([code, stderr], [0, ""]);
  assertEquals([...Deno.readDirSync(p.cwd)].map(({ name }) => name).sort(), ["a.log", "b.log"]);
  assertEquals((await p.run("get", "logs/*.jpg")).code, 4);
  const both = await p.run("get", "logs/{a,b}.log", "--out", "new/both");
  assertEquals([both.code, both.stderr], [0, ""]);
  assertEquals([...Deno.readDirSync(`${p.cwd}/new/both`)].length, 2);
  p.write("one", "a file");
  const one = await p.run("get", "logs/{a,b}.log", "--out", "one");
  assertEquals([one.code, one.stderr], [
    2,
    'ferry: "one" is no directory, and several files are to be got\n',
  ]);
});
