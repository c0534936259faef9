/**
 * Directories that are made the same on the other side.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { connect } from "../../mod.ts";
import { assertCode } from "../support/assertions.ts";
import { Pair } from "../support/pair.ts";
import { filesBelow } from "../support/programs.ts";
import { token, TokenServer } from "../support/token_server.ts";

/** Makes files, and the directories above them. */
function make(directory: string, files: Record<string, string>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = `${directory}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, content);
  }
}

/** The files in a directory, without ferry's own. */
function filesIn(directory: string): string[] {
  return filesBelow(directory).filter((name) => !name.startsWith(".ferry/")).sort();
}

Deno.test("ferry put --delete tells what it deletes, and shows it first with --dry-run", async () => {
  await using p = await Pair.shared();
  make(p.cwd, { "t/a": "a", "t/d/b": "b" });
  make(p.root, { "t/a": "another", "t/d/x": "x", "t/old/y": "y", "else/z": "z" });
  const dry = await p.run("put", "t", "--delete", "--dry-run");
  assertEquals([dry.code, dry.stdout], [
    0,
    "would put t/a\nwould put t/d/b\nwould delete t/d/x\nwould delete t/old\nwould delete t/old/y\n",
  ]);
  assertEquals(dry.stderr, "ferry: 2 would be transferred, 0 unchanged, 3 would be deleted\n");
  assertEquals(filesIn(p.root), ["else/z", "t/a", "t/d/x", "t/old/y"]);
  const few = await p.run("put", "t", "--delete", "--max-delete", "2");
  assertEquals(few.code, 5);
  assertStringIncludes(
    few.stderr,
    "3 files and directories would be deleted, and at most 2 may be",
  );
  const done = await p.run("put", "t", "--delete", "--max-delete", "3", "--backup", "old");
  assertEquals(done.code, 0, done.stderr);
  assertEquals(
    done.stderr,
    'ferry: deleted "t/d/x": it is "old/d/x" now\n' +
      'ferry: deleted "t/old": it is "old/old" now\n' +
      'ferry: deleted "t/old/y": it is "old/old/y" now\n' +
      "ferry: 0 transferred (0 B), 2 unchanged, 3 deleted\n",
  );
  assertEquals(filesIn(p.root), ["else/z", "old/d/x", "old/old/y", "t/a", "t/d/b"]);
});

Deno.test("ferry get --delete makes a local directory the same, and keeps what is filtered", async () => {
  await using p = await Pair.shared();
  make(p.root, { "t/a": "a" });
  make(p.cwd, { "t/a": "another", "t/b": "b", "t/keep.log": "log", "t/d/c": "c" });
  const args = ["get", "t", "--delete", "--exclude", "*.log"];
  const done = await p.run(...args, "--json");
  assertEquals(done.code, 0, done.stdout);
  const events = done.stdout.trim().split("\n").map((line) => JSON.parse(line));
  const deleted = events.filter(({ event }) => event === "deleted");
  assertEquals(deleted.map(({ path, type }) => `${path} ${type}`).sort(), [
    "t/b file",
    "t/d directory",
    "t/d/c file",
  ]);
  assertEquals(events.at(-1).deleted, 3);
  assertEquals(filesIn(`${p.cwd}/t`), ["a", "keep.log"]);
  const all = await p.run(...args, "--delete-excluded");
  assertEquals([all.code, filesIn(`${p.cwd}/t`)], [0, ["a"]]);
});

Deno.test("mirrors replace directories by files and links, and the reverse, when all else went well", async () => {
  await using p = await Pair.shared(["--allow-links"]);
  const make = (directory: string, names: string[]) => {
    for (const name of names) {
      const path = `${directory}/${name.replace(/[/@]$/, "")}`;
      if (name.endsWith("@")) Deno.symlinkSync("dir", path);
      else if (name.endsWith("/")) Deno.mkdirSync(path, { recursive: true });
      else Deno.writeTextFileSync(path, name);
    }
  };
  const shown = (directory: string): string[] =>
    [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory, isSymlink }) =>
      isDirectory
        ? [`${name}/`, ...shown(`${directory}/${name}`).map((child) => `${name}/${child}`)]
        : [isSymlink ? `${name}@` : name]
    ).sort();
  const before = ["dir/", "dir/a", "a/", "a/old", "b", "c@", "d/", "d/old", "e@"];
  const after = ["dir/", "dir/a", "a", "b/", "b/new", "c/", "c/a", "c/new", "d@", "e"];
  make(`${p.cwd}/t`, ["", ...after].map((name) => name || "./"));
  make(`${p.root}/t`, ["./", ...before]);
  make(`${p.cwd}/here`, ["./", ...before]);
  const dry = await p.run("put", "t", "--delete", "--links", "-n", "--json");
  assertEquals([dry.code, shown(`${p.root}/t`)], [0, before.toSorted()]);
  const told = dry.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const deletions = (events: typeof told) =>
    events.filter(({ deleted }) => deleted === true).map(({ filename }) => filename).sort();
  const gone = ["t/a", "t/a/old", "t/b", "t/c", "t/d", "t/d/old", "t/e"];
  assertEquals(deletions(told), gone);
  // Where too much would be deleted, everything stays.
  const few = await p.run("put", "t", "--delete", "--links", "--max-delete", "6");
  assertEquals(few.code, 5);
  assertEquals(shown(`${p.root}/t/a`), ["old"]);
  const put = await p.run("put", "t", "--delete", "--links", "--backup", "kept");
  assertEquals([put.code, put.stderr.includes("failed")], [0, false], put.stderr);
  assertEquals(shown(`${p.root}/t`), after.toSorted());
  assertEquals(Deno.readTextFileSync(`${p.root}/t/dir/a`), "dir/a");
  assertEquals(Deno.readTextFileSync(`${p.root}/kept/a/old`), "a/old");
  const get = await p.run("get", "t", "--out", "here", "--delete", "--links");
  assertEquals([get.code, get.stderr.includes("failed")], [0, false], get.stderr);
  assertEquals(shown(`${p.cwd}/here`), after.toSorted());
  assertEquals(Deno.readTextFileSync(`${p.cwd}/here/dir/a`), "dir/a");
});

Deno.test("ferry put --delete deletes nothing after a failure, unless with --force", async () => {
  await using p = await Pair.shared();
  make(p.cwd, { "t/a": "a" });
  make(p.root, { "t/a/b": "in the way", "t/old": "old" });
  const failed = await p.run("put", "t", "--delete", "--exclude", "b");
  assertEquals([failed.code, filesIn(p.root)], [5, ["t/a/b", "t/old"]]);
  assertStringIncludes(failed.stderr, "0 deleted, 1 failed");
  const forced = await p.run("put", "t", "--delete", "--exclude", "b", "--force");
  assertEquals([forced.code, filesIn(p.root)], [5, ["t/a/b"]]);
});

Deno.test("ferry get --delete deletes nothing where it would be too much, or after a failure, unless with --force", async () => {
  await using p = await Pair.shared();
  make(p.root, { "t/a": "new" });
  make(p.cwd, { "t/a": "another", "t/old/x": "x", "t/y": "y" });
  const few = await p.run("get", "t", "--delete", "--max-delete", "2");
  assertEquals(few.code, 5);
  assertStringIncludes(
    few.stderr,
    "3 files and directories would be deleted, and at most 2 may be",
  );
  assertEquals(filesIn(`${p.cwd}/t`), ["a", "old/x", "y"]);
  // What the server has is there nevertheless.
  assertEquals(Deno.readTextFileSync(`${p.cwd}/t/a`), "new");
  // A file that cannot be transferred: what is in its way here is filtered, and stays.
  make(p.root, { "t/b": "b" });
  make(p.cwd, { "t/b/keep": "in the way" });
  const args = ["get", "t", "--delete", "--max-delete", "3", "--exclude", "keep"];
  const failed = await p.run(...args);
  assertEquals([failed.code, filesIn(`${p.cwd}/t`)], [5, ["a", "b/keep", "old/x", "y"]]);
  assertStringIncludes(failed.stderr, "0 deleted, 1 failed");
  const dry = await p.run(...args, "--force", "--dry-run");
  assertStringIncludes(dry.stdout, "would delete t/old/x\n");
  assertEquals(filesIn(`${p.cwd}/t`), ["a", "b/keep", "old/x", "y"]);
  const forced = await p.run(...args, "--force", "--json");
  assertEquals([forced.code, filesIn(`${p.cwd}/t`)], [5, ["a", "b/keep"]]);
  assertEquals(JSON.parse(forced.stdout.trim().split("\n").at(-1)!).deleted, 3);
  // The limit counts with --force, too.
  make(p.cwd, { "t/1": "", "t/2": "", "t/3": "", "t/4": "" });
  const limited = await p.run(...args, "--force");
  assertStringIncludes(limited.stderr, "4 files and directories would be deleted, and at most 3");
  assertEquals(filesIn(`${p.cwd}/t`), ["1", "2", "3", "4", "a", "b/keep"]);
});

Deno.test("ferry put --delete deletes links themselves, and leaves skipped names alone", async () => {
  await using p = await Pair.shared();
  make(p.cwd, { "t/a": "a" });
  Deno.symlinkSync("a", `${p.cwd}/t/link`);
  make(p.root, { "else/kept": "kept", "t/link": "a link at the source" });
  Deno.symlinkSync("../else", `${p.root}/t/way`);
  Deno.symlinkSync("../else/kept", `${p.root}/t/file`);
  Deno.symlinkSync("nowhere", `${p.root}/t/dangling`);
  const { code, stderr } = await p.run("put", "t", "--delete");
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "3 deleted");
  assertEquals(filesIn(p.root), ["else/kept", "t/a", "t/link"]);
});

Deno.test("--delete and --backup are for directories; their options go with them", async () => {
  await using p = await Pair.shared();
  make(p.cwd, { "f": "f" });
  make(p.root, { "f": "another" });
  for (
    const args of [
      ["put", "f", "--delete"],
      ["put", "f", "--backup", "old", "--overwrite", "always"],
      ["get", "f", "--delete"],
      ["get", "f", "--out", "g", "--force"],
      ["put", ".", "--max-delete", "3"],
      ["put", ".", "--delete-excluded"],
    ]
  ) {
    const { code, stderr } = await p.run(...args);
    assertEquals(code, 2, `${args}: ${stderr}`);
  }
  assertEquals([filesIn(p.root), filesIn(p.cwd)], [["f"], ["f"]]);
});

Deno.test("a client without the scope delete is told before anything is transferred", async () => {
  const all = await token("read,write,delete");
  const confined = await token("read,write,delete", "inbox");
  const writer = await token("read,write");
  await using f = await TokenServer.start([all.record, confined.record, writer.record]);
  const local = Deno.makeTempDirSync({ prefix: "ferry-" });
  try {
    make(local, { "new": "new" });
    const put = async (token: string, as: string, backup?: string) => {
      await using client = await connect(f.address, { token, retries: 0 });
      await client.putTree(local, { as, delete: true, backup });
      return client;
    };
    const names = async (directory: string) => {
      await using client = await connect(f.address, { token: all.token, retries: 0 });
      const listed = await Array.fromAsync(client.list(directory, { recursive: true }));
      return listed.map(({ filename }) => filename);
    };
    const before = await names("");
    await assertCode("denied", () => put(writer.token, "inbox"));
    await assertCode("denied", () => put(confined.token, "elsewhere"));
    await assertCode("denied", () => put(confined.token, "inbox/sub", "elsewhere"));
    assertEquals(await names(""), before);
    await put(confined.token, "inbox/sub", "inbox/old");
    assertEquals(await names("inbox/sub"), ["inbox/sub/new"]);
  } finally {
    Deno.removeSync(local, { recursive: true });
  }
});
