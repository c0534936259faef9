import { assertEquals, assertMatch } from "@std/assert";
import { Filter } from "../../../client/transfer/filter.ts";
import {
  MirrorPlan,
  type MirrorPlanOptions,
  type SourceNames,
  type TargetEntry,
} from "../../../client/transfer/mirror_plan.ts";
import { deletionsOf } from "../../../client/transfer/mirroring.ts";
import { nextNumber } from "../../../client/transfer/backup_names.ts";
import {
  connect,
  type Deleted,
  FerryError,
  FsStorage,
  MemoryStorage,
  type PutTreeOptions,
  serve,
  type Storage,
} from "../../../mod.ts";
import { assertCode } from "../../support/assertions.ts";
import { TempDir } from "../../support/programs.ts";

/** A source with these names: directories end with a slash, links with `@`, what is there without being transferred with `!`. */
function sourceOf(...names: string[]): SourceNames {
  const open = new Set(names.filter((name) => name.endsWith("/")).map((name) => name.slice(0, -1)));
  const hidden = new Set(
    names.filter((name) => name.endsWith("!")).map((name) => name.slice(0, -1)),
  );
  const files = names.filter((name) => !/[/!@]$/.test(name));
  const links = names.filter((name) => name.endsWith("@")).map((name) => name.slice(0, -1));
  return {
    at(name) {
      if (open.has(name)) return "directory";
      if (links.includes(name)) return "link";
      return hidden.has(name) ? "other" : files.includes(name) ? "file" : undefined;
    },
    all: () => [...open, ...links, ...files],
  };
}

/** An entry by its name: a directory ends with a slash, a link with `@`, what never goes with `!`. */
function entryOf(name: string): TargetEntry {
  const type = ({ "/": "directory", "@": "link", "!": "other" } as const)[name.at(-1)!] ?? "file";
  const plain = type === "file" ? name : name.slice(0, -1);
  return { name: plain, type, size: type === "file" ? 1 : 0, checksum: null };
}

/** What is deleted of a target; what goes with a directory above it is in parentheses. */
function doomed(source: SourceNames, target: string[], options: MirrorPlanOptions = {}): string[] {
  const plan = new MirrorPlan(source, options);
  for (const name of target) plan.add(entryOf(name));
  return plan.doomed().map(({ name, inside }) => inside ? `(${name})` : name);
}

Deno.test("a mirror deletes what the source does not have, and directories as a whole", () => {
  const source = sourceOf("a", "d/", "d/b");
  const target = ["a", "c", "d/", "d/b", "d/x", "l@", "old/", "old/e", "old/f/", "old/f/g"];
  assertEquals(doomed(source, target), ["c", "d/x", "l", "old", "(old/e)", "(old/f)", "(old/f/g)"]);
  const plan = new MirrorPlan(source);
  for (const name of target) plan.add(entryOf(name));
  const steps = deletionsOf(plan.doomed()).map(({ top, all }) => [top.name, all.length]);
  assertEquals(steps, [["c", 1], ["d/x", 1], ["l", 1], ["old", 4]]);
});

Deno.test("a mirror keeps what the source has in any other form, with all that is in it", () => {
  assertEquals(doomed(sourceOf("link!", "d!"), ["link", "d/", "d/x", "e"]), ["e"]);
});

Deno.test("a mirror deletes what something of another type is to replace", () => {
  const source = sourceOf("f", "d/", "d/x", "to@", "l/", "l/x", "m", "n/", "p!");
  const target = ["f/", "f/y", "d", "to/", "to/z", "l@", "m@", "n/", "p/", "p/q"];
  assertEquals(doomed(source, target), ["f", "(f/y)", "d", "to", "(to/z)"]);
  const links = ["f", "(f/y)", "d", "to", "(to/z)", "l", "m"];
  assertEquals(doomed(source, target, { replacesLinks: true }), links);
  const filter = new Filter({ exclude: ["y"] });
  assertEquals(doomed(source, ["f/", "f/y", "f/z"], { filter }), ["f/z"]);
});

Deno.test("a mirror keeps what was put through a link that is in the place of a directory", () => {
  const source = sourceOf("l/", "l/x", "l/s/", "l/s/y", "d/", "d/a");
  const target = ["l@", "d/", "d/a", "d/b", "d/x", "d/s/", "d/s/y", "d/s/z", "x"];
  assertEquals(doomed(source, target), ["d/b", "d/s/z"]);
  assertEquals(doomed(source, target, { replacesLinks: true }), [
    ...["l", "d/b", "d/x", "d/s", "(d/s/y)", "(d/s/z)", "x"],
  ]);
});

Deno.test("a mirror keeps pipes, ferry's own files and backups, and the directories above them", () => {
  const target = ["d/", "d/pipe!", "d/x", "d/e/", "d/e/y"];
  assertEquals(doomed(sourceOf(), target), ["d/x", "d/e", "(d/e/y)"]);
  assertEquals(doomed(sourceOf(), ["old/", "old/a", "b"], { kept: "old" }), ["b"]);
  assertEquals(doomed(sourceOf(), ["o/", "o/old/", "o/old/a", "o/b"], { kept: "o/old" }), ["o/b"]);
});

Deno.test("a mirror keeps what the filter leaves out, unless it is told to delete that too", () => {
  const filter = new Filter({ exclude: ["*.log", "cache/"] });
  const source = sourceOf("a", "x.log!");
  const target = ["a", "b", "x.log", "y.log", "cache/", "cache/z", "d/", "d/e.log", "d/f"];
  assertEquals(doomed(source, target, { filter }), ["b", "d/f"]);
  assertEquals(doomed(source, target, { filter, excluded: true }), [
    "b",
    "x.log",
    "y.log",
    "cache",
    "(cache/z)",
    "d",
    "(d/e.log)",
    "(d/f)",
  ]);
});

Deno.test("with includes, a mirror deletes directories only for what it deletes in them", () => {
  const filter = new Filter({ include: ["*.txt"] });
  const target = ["a.txt", "b.md", "d/", "d/x.txt", "e/", "f/", "f/y.md", "f/z.txt"];
  assertEquals(doomed(sourceOf(), target, { filter }), ["a.txt", "d", "(d/x.txt)", "f/z.txt"]);
  // Only walked for what may be further down.
  assertEquals(doomed(sourceOf("d/"), ["d/", "d/x.txt"], { filter }), ["d/x.txt"]);
});

Deno.test("a mirror keeps a name that the file system takes for one of the source's", () => {
  // The source's name is not listed: the target has it in another spelling.
  assertEquals(doomed(sourceOf("read.me"), ["READ.ME", "x"]), ["x"]);
  assertEquals(doomed(sourceOf("caf\u00e9"), ["cafe\u0301"]), []);
  assertEquals(doomed(sourceOf("d/", "d/a"), ["D/", "D/a", "D/b"]), ["D/b"]);
  // Both are listed: they are two names.
  assertEquals(doomed(sourceOf("read.me"), ["READ.ME", "read.me"]), ["READ.ME"]);
});

Deno.test("a backup gets the number after those that are there", () => {
  assertEquals(nextNumber("a", []), 1);
  assertEquals(nextNumber("a", ["a", "a.~1~", "a.~12~", "a.~x~", "b.~99~", "a.~3"]), 13);
});

/** Writes a file, and makes the directories above it. */
function write(dir: TempDir, name: string, content: string): void {
  const directory = dir.join(name.slice(0, name.lastIndexOf("/")));
  Deno.mkdirSync(directory, { recursive: true });
  dir.write(name, content);
}

/** A server in this process, and the client of one. */
async function served(storage: Storage) {
  const server = await serve({ storage, listen: "127.0.0.1:0" });
  const client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function namesOn(client: Awaited<ReturnType<typeof connect>>, directory: string) {
  const all = await Array.fromAsync(client.list(directory, { recursive: true }));
  return all.map(({ filename, type }) => filename + (type === "directory" ? "/" : "")).sort();
}

const STORAGES: Record<string, (dir: TempDir) => Storage> = {
  "a directory": (dir) => {
    Deno.mkdirSync(dir.join("root"));
    return FsStorage.open(dir.join("root"));
  },
  memory: () => new MemoryStorage(),
};

for (const [kind, storageOf] of Object.entries(STORAGES)) {
  Deno.test(`a mirror into ${kind} deletes last, and keeps backups of all that it takes`, async () => {
    await using dir = new TempDir();
    await using storage = storageOf(dir);
    await using pair = await served(storage);
    const { client } = pair;
    const put = async (options: PutTreeOptions) => {
      const deleted: Deleted[] = [];
      await client.putTree(dir.join("t"), {
        as: "t",
        delete: true,
        onDelete: (each) => deleted.push(each),
        ...options,
      });
      return deleted;
    };
    write(dir, "t/a", "one");
    write(dir, "t/d/b", "b");
    write(dir, "t/d/e/c", "c");
    assertEquals(await put({}), []);
    Deno.removeSync(dir.join("t/d"), { recursive: true });
    write(dir, "t/a", "two!");
    write(dir, "t/n", "new");
    const planned = await put({ dryRun: true, backup: "old" });
    assertEquals(planned.map(({ filename }) => filename), ["t/d", "t/d/b", "t/d/e", "t/d/e/c"]);
    assertEquals(await namesOn(client, "t"), ["t/a", "t/d/", "t/d/b", "t/d/e/", "t/d/e/c"]);
    await assertCode("too_large", () => put({ delete: { maxDelete: 3 }, backup: "old" }));
    assertEquals(await client.get("t/a").text(), "two!");
    assertEquals((await namesOn(client, "t")).length, 6);
    write(dir, "t/a", "three");
    assertEquals(await put({ delete: { maxDelete: 4 }, backup: "old" }), [
      { filename: "t/d", type: "directory", size: 0, backup: "old/d" },
      { filename: "t/d/b", type: "file", size: 1, backup: "old/d/b" },
      { filename: "t/d/e", type: "directory", size: 0, backup: "old/d/e" },
      { filename: "t/d/e/c", type: "file", size: 1, backup: "old/d/e/c" },
    ]);
    assertEquals(await namesOn(client, "t"), ["t/a", "t/n"]);
    assertEquals(await namesOn(client, "old"), [
      "old/a",
      "old/a.~1~",
      "old/d/",
      "old/d/b",
      "old/d/e/",
      "old/d/e/c",
    ]);
    const kept = await Promise.all(
      ["old/a", "old/a.~1~", "t/a"].map((name) => client.get(name).text()),
    );
    assertEquals(kept, ["one", "two!", "three"]);
    // A name that was deleted before gets a number.
    write(dir, "t/d", "now a file");
    await put({});
    Deno.removeSync(dir.join("t/d"));
    assertEquals(await put({ backup: "old" }), [
      { filename: "t/d", type: "file", size: 10, backup: "old/d.~1~" },
    ]);
  });
}

Deno.test("a mirror with a failure deletes nothing, unless it is forced to", async () => {
  await using dir = new TempDir();
  await using storage = new MemoryStorage();
  await using pair = await served(storage);
  const { client } = pair;
  await client.put(new TextEncoder().encode("x"), { as: "t/old" });
  await client.put(new TextEncoder().encode("x"), { as: "t/a/stays" });
  write(dir, "t/a", "a file, and a directory on the server");
  const filter = new Filter({ exclude: ["stays"] });
  const codes: string[] = [];
  const onError = (_name: string, { code }: FerryError) => codes.push(code);
  await client.putTree(dir.join("t"), { as: "t", filter, delete: true, onError });
  const all = ["t/a/", "t/a/stays", "t/old"];
  assertEquals([codes, await namesOn(client, "t")], [["not_a_file"], all]);
  await client.putTree(dir.join("t"), { as: "t", filter, delete: { force: true }, onError });
  assertEquals(await namesOn(client, "t"), ["t/a/", "t/a/stays"]);
});

Deno.test("a directory whose deletion fails, and that others delete then, is one failure among others", async () => {
  class Failing extends MemoryStorage {
    override async remove(...args: Parameters<MemoryStorage["remove"]>) {
      await super.remove(...args);
      throw new FerryError("io", "the disk is broken");
    }
  }
  await using dir = new TempDir();
  await using storage = new Failing();
  await using pair = await served(storage);
  await pair.client.put(new TextEncoder().encode("x"), { as: "t/old/a" });
  write(dir, "t/new", "n");
  const told: string[] = [];
  await pair.client.putTree(dir.join("t"), {
    ...{ as: "t", delete: true },
    onError: (filename, { code }) => told.push(`${filename}: ${code}`),
    onDelete: ({ filename }) => told.push(filename),
  });
  assertEquals(told, ["t/old: io", "t/old/a"]);
});

Deno.test("deletions that take effect do not wait until those before them are on the disk", async () => {
  const waiting: string[] = [];
  const all = Promise.withResolvers<void>();
  class Slow extends MemoryStorage {
    override async remove(...[name, options]: Parameters<MemoryStorage["remove"]>) {
      await super.remove(name, options);
      options.onChanged?.();
      if (waiting.push(name) === 3) all.resolve();
      await all.promise;
    }
  }
  await using dir = new TempDir();
  await using storage = new Slow();
  await using pair = await served(storage);
  for (const name of ["a", "b", "c"]) {
    await pair.client.put(new TextEncoder().encode("x"), { as: `t/${name}` });
  }
  write(dir, "t/new", "n");
  const late = setTimeout(() => all.reject(new Error("the others were not asked for")), 10_000);
  const deleted: string[] = [];
  await pair.client.putTree(dir.join("t"), {
    ...{ as: "t", delete: true },
    onDelete: ({ filename }) => deleted.push(filename),
  });
  clearTimeout(late);
  assertEquals([waiting, deleted], [["t/a", "t/b", "t/c"], ["t/a", "t/b", "t/c"]]);
});

Deno.test("a mirror here deletes files, links and empty directories, and keeps backups", async () => {
  await using dir = new TempDir();
  await using storage = new MemoryStorage();
  await using pair = await served(storage);
  const { client } = pair;
  await client.put(new TextEncoder().encode("new"), { as: "t/a" });
  const out = dir.join("here");
  // Its size differs, since both may be written within one millisecond.
  write(dir, "here/a", "older");
  write(dir, "here/d/b", "b");
  write(dir, "here/.ferry-0123456789abcdef0123456789abcdef.part", "a part");
  write(dir, "elsewhere/kept", "kept");
  Deno.symlinkSync(dir.join("elsewhere"), `${out}/link`);
  const deleted: Deleted[] = [];
  const onDelete = (each: Deleted) => deleted.push(each);
  const backup = dir.join("old");
  await client.getTree("t", { out, delete: true, backup, dryRun: true, onDelete });
  const names = (each: Deleted[]) => each.map(({ filename }) => filename).sort();
  assertEquals(names(deleted), ["t/d", "t/d/b", "t/link"]);
  assertEquals(await Deno.readTextFile(`${out}/d/b`), "b");
  deleted.length = 0;
  await client.getTree("t", { out, delete: true, backup, onDelete });
  assertEquals(names(deleted), ["t/d", "t/d/b", "t/link"]);
  assertEquals(deleted.find(({ type }) => type === "file")?.backup, `${backup}/d/b`);
  assertEquals(await Deno.readTextFile(`${out}/a`), "new");
  assertEquals(await Deno.readTextFile(`${backup}/a`), "older");
  assertEquals(await Deno.readTextFile(`${backup}/d/b`), "b");
  assertEquals(await Deno.readLink(`${backup}/link`), dir.join("elsewhere"));
  assertEquals(await Deno.readTextFile(dir.join("elsewhere/kept")), "kept");
  const left = Array.from(Deno.readDirSync(out), ({ name }) => name).filter((name) => name !== "a");
  assertEquals(left.every((name) => name.startsWith(".ferry-")), true);
});

Deno.test("a mirror here keeps backups that are in it by another path", async () => {
  await using dir = new TempDir();
  await using storage = new MemoryStorage();
  await using pair = await served(storage);
  await pair.client.put(new TextEncoder().encode("new"), { as: "t/a" });
  for (const name of ["real/one.bak/kept", "real/two.bak/kept"]) write(dir, name, "kept");
  Deno.symlinkSync("real", dir.join("link"));
  Deno.symlinkSync("real/two.bak", dir.join("two"));
  const deleted: string[] = [];
  const get = (out: string, backup: string) => {
    return pair.client.getTree("t", {
      ...{ out: dir.join(out), delete: true, backup: dir.join(backup) },
      onDelete: ({ filename }) => deleted.push(filename),
    });
  };
  await get("real", "link/two.bak/../two.bak");
  assertEquals(deleted.sort(), ["t/one.bak", "t/one.bak/kept"]);
  assertEquals(await Deno.readTextFile(dir.join("real/two.bak/one.bak/kept")), "kept");
  for (const [out, backup] of [["link", "real/two.bak"], ["real", "two"]] as const) {
    deleted.length = 0;
    write(dir, "real/x", "x");
    await get(out, backup);
    assertEquals(deleted, ["t/x"]);
  }
  assertEquals(await Deno.readTextFile(dir.join("real/two.bak/kept")), "kept");
  // The directory that would hold the target is refused by any path.
  Deno.symlinkSync("..", dir.join("real/up"));
  for (const backup of ["link", "real/up", "two/.."]) {
    await assertCode("usage", () => get("real", backup));
  }
  await assertCode("usage", () => get("real/two.bak", "link"));
});

Deno.test("a mirror refuses a backup that would hold its target, and a limit that is no number", async () => {
  await using dir = new TempDir();
  await using storage = new MemoryStorage();
  await using pair = await served(storage);
  write(dir, "t/a", "a");
  const put = (options: PutTreeOptions) => () =>
    pair.client.putTree(dir.join("t"), { as: "s/t", ...options });
  await assertCode("usage", put({ backup: "s" }));
  await assertCode("usage", put({ backup: "s/t" }));
  await assertCode("usage", put({ backup: "" }));
  for (const backup of ["../x", ".ferry/x"]) {
    const { message } = await assertCode("bad_name", put({ backup }));
    assertMatch(message, /^Cannot keep backups in "[^"]+": .+ \(on the server\)$/);
  }
  await assertCode("usage", put({ delete: { maxDelete: NaN } }));
  const get = (backup: string) => () =>
    pair.client.getTree("", { out: dir.join("x/y"), backup: dir.join(backup) });
  await assertCode("usage", get("x"));
  await assertCode("usage", get("x/y"));
});
