import { assertEquals, assertRejects } from "@std/assert";
import { expandRemoteGlobs, type Lister } from "../../../client/cli/remote_glob.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import { Pair } from "../../support/pair.ts";
import { ferry, TempDir } from "../../support/programs.ts";
import { token, TokenServer } from "../../support/token_server.ts";

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

Deno.test("a pattern that needs a list that is denied is taken for a name, and that is said", async () => {
  const { token: shown, record } = await token("read,delete", "inbox/");
  const { token: blind, record: deleting } = await token("delete");
  await using f = await TokenServer.start([record, deleting]);
  await using dir = new TempDir();
  const run = (shown: string, ...args: string[]) => {
    return ferry(args, { cwd: dir.path, server: f.address, env: { FERRY_TOKEN: shown } });
  };
  const denied = 'the scope "read" is granted only below "inbox/"';
  const literally = (arg: string, reason: string) => {
    return `ferry: "${arg}" is taken for a name and not for a pattern, since the list of names is denied: ${reason}\n`;
  };
  for (const [command, op] of [["ls", "list"], ["stat", "stat"], ["get", "get"]]) {
    const { code, stdout, stderr } = await run(shown, command!, "in*/mine");
    assertEquals([code, stdout], [3, ""], command);
    assertEquals(
      stderr,
      `${literally("in*/mine", denied)}ferry: Cannot ${op} "in*/mine": ${denied} (on the server)\n`,
    );
  }
  const inside = await run(shown, "stat", "inbox/m*e");
  assertEquals([inside.code, inside.stderr], [0, ""]);
  // Without it nothing would tell that "no such file" is about no pattern.
  const removed = await run(blind, "rm", "inbox/*");
  const blinded = 'the server does not grant the scope "read"';
  assertEquals([removed.code, removed.stderr], [
    4,
    `${
      literally("inbox/*", blinded)
    }ferry: Cannot remove "inbox/*": no such file or directory (on the server)\n`,
  ]);
});
