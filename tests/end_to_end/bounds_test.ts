/**
 * What a client with a confined token can do through symbolic links, after moving them in any way.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { toFerryError } from "../../lib/core/errors.ts";
import { parseFileName as name } from "../../lib/core/remote_name.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import { assertAllowed, boundsOf, type Principal } from "../../server/auth/authorization.ts";
import { type Grants, parseGrants } from "../../server/auth/grants.ts";
import { TempDir } from "../support/programs.ts";
import fc from "../support/properties.ts";
import { assertCode } from "../support/assertions.ts";
import { md5 } from "../support/bytes.ts";
import { begin, put, textOf } from "../support/stored_files.ts";

/** The directories of each world; a token may be granted any of them. */
const DIRECTORIES = ["a", "a/c", "a/c/e", "b", "b/c", "d"] as const;

/** An entry of a world other than its directories. */
interface Item {
  path: string;
  /** The target of a link; undefined for a file. */
  target?: string | undefined;
}

/** A request of a client. */
interface Action {
  op: "get" | "list" | "stat" | "put" | "offer" | "compare" | "mkdir" | "remove" | "move";
  filename: string;
  to: string;
  replace: boolean;
}

const part = fc.constantFrom("a", "b", "c", "d", "e", "f", "l", "m", "l", "m");
const path = fc.oneof(
  fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
  // Most random paths lead nowhere, so existing ones are preferred.
  fc.tuple(fc.constantFrom(...DIRECTORIES), fc.array(part, { minLength: 1, maxLength: 3 }))
    .map(([directory, rest]) => [directory, ...rest].join("/")),
);
const step = fc.constantFrom("..", "..", "a", "b", "c", "d", "f", "l");
const target = fc.tuple(
  fc.constantFrom("", "", "ROOT/", "ROOT/../"),
  fc.array(step, { minLength: 1, maxLength: 4 }),
).map(([start, steps]) => start + steps.join("/"));
const item: fc.Arbitrary<Item> = fc.record({
  path: fc.tuple(
    fc.oneof(fc.constantFrom(...DIRECTORIES), fc.constant("")),
    fc.constantFrom("f", "l", "m", "g"),
  ).map((parts) => parts.filter(Boolean).join("/")),
  target: fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, {
    weight: 3,
    arbitrary: target,
  }),
});
const action: fc.Arbitrary<Action> = fc.record({
  op: fc.constantFrom("get", "list", "stat", "put", "offer", "compare", "mkdir", "remove", "move"),
  filename: path,
  to: path,
  replace: fc.boolean(),
});
const prefixes = fc.uniqueArray(fc.constantFrom(...DIRECTORIES).map(name), { maxLength: 2 });
const grants: fc.Arbitrary<Grants> = fc.oneof(
  prefixes.map((all) => ({ read: all, write: all, delete: all })),
  fc.record({ read: prefixes, write: prefixes, delete: prefixes }),
);

/** A root with these entries, with one of two contents outside of the grants. */
class World implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly root = Deno.realPathSync(this.#dir.path) + "/root";
  readonly storage: FsStorage;

  constructor(
    items: readonly Item[],
    isGranted: (path: string) => boolean,
    outside: "same" | "other",
  ) {
    for (const directory of DIRECTORIES) {
      Deno.mkdirSync(`${this.root}/${directory}`, { recursive: true });
    }
    this.#dir.write("secret", "secret");
    const made = new Set<string>();
    for (const { path, target } of items) {
      if (made.has(path) || outside === "other" && !isGranted(path)) continue;
      made.add(path);
      const at = `${this.root}/${path}`;
      if (target !== undefined) Deno.symlinkSync(target.replace("ROOT", this.root), at);
      else Deno.writeTextFileSync(at, `at ${path}`);
    }
    if (outside === "other") {
      for (const at of DIRECTORIES) {
        const isAbove = DIRECTORIES.some((each) => isGranted(each) && each.startsWith(`${at}/`));
        if (isGranted(at) || isAbove || !isTaken(`${this.root}/${at}`)) continue;
        Deno.removeSync(`${this.root}/${at}`, { recursive: true });
      }
      for (const at of ["f", "l", "m", "g", "x", "a/x", "b/f", "d/f", "b/e", "a/e"]) {
        const parent = at.slice(0, Math.max(0, at.lastIndexOf("/")));
        if (isGranted(at) || !isTaken(`${this.root}/${parent}`)) continue;
        Deno.mkdirSync(`${this.root}/${at}`);
      }
    }
    this.storage = FsStorage.open(this.root, { durability: "none" });
  }

  /** All entries in it, with the content of each. */
  seen(directory = ""): Map<string, string> {
    const all = new Map<string, string>();
    for (const { name, isDirectory, isSymlink } of Deno.readDirSync(`${this.root}/${directory}`)) {
      if (name === ".ferry") continue;
      const path = directory === "" ? name : `${directory}/${name}`;
      const at = `${this.root}/${path}`;
      const content = isDirectory
        ? "/"
        : isSymlink
        ? Deno.readLinkSync(at)
        : Deno.readTextFileSync(at);
      all.set(path, `${Deno.lstatSync(at).ino} ${content.replace(this.root, "ROOT")}`);
      if (isDirectory) { for (const [below, what] of this.seen(path)) all.set(below, what); }
    }
    return all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

const PUT = "put by the client";

/** Handles a request as a server does, and returns everything that the client learns. */
async function ask(storage: FsStorage, who: Principal, action: Action): Promise<string> {
  const { op, filename, to, replace } = action;
  try {
    const question = { op: op === "offer" ? "put" : op, filename, to } as const;
    assertAllowed(who, question);
    const bounds = boundsOf(who, question);
    assert(bounds, "a confined client has bounds");
    const seen = storage.within(bounds);
    switch (op) {
      case "get":
        return await textOf(seen, filename);
      case "list": {
        const lines = [];
        for await (const listed of seen.list(name(filename), { recursive: true })) {
          const { filename: child, type, size } = listed as Entry;
          lines.push(`${child} ${type} ${size}`);
        }
        return lines.join("\n");
      }
      case "stat": {
        const { type, size } = await seen.stat(name(filename));
        return `${type} ${size}`;
      }
      case "put":
        return String((await put(seen, filename, PUT, { replace })).unchanged);
      case "offer": {
        const entry = await seen.find(name(filename));
        await seen.assertFits(name(filename), 10);
        return String(entry && `${entry.type} ${entry.size}`);
      }
      case "compare":
        return (await seen.findAll(
          [name(filename), name(filename), name(to)].filter((each) =>
            each === filename || isAllowed(who, each)
          ),
        )).map((found) =>
          found instanceof Error ? found.message : String(found && `${found.type} ${found.size}`)
        ).join();
      case "mkdir":
        await seen.mkdir(name(filename));
        break;
      case "remove":
        await seen.remove(name(filename), { recursive: true });
        break;
      case "move":
        await seen.move(name(filename), name(to), { replace });
    }
    return "done";
  } catch (error) {
    const { code, message } = toFerryError(error);
    assert(code !== "internal", message);
    return `${code}: ${message}`;
  }
}

function isAllowed(who: Principal, filename: string): boolean {
  try {
    assertAllowed(who, { op: "compare", filename });
    return true;
  } catch {
    return false;
  }
}

const inside = (all: readonly string[] = []) => (path: string) =>
  all.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));

Deno.test("a confined client reaches nothing else by links, wherever it moves them", async () => {
  const run = async (items: Item[], grants: Grants, actions: Action[]) => {
    const who = { grants, mayAuthenticate: false };
    const { read, write, delete: deletes } = grants;
    const isGranted = inside([...read ?? [], ...write ?? [], ...deletes ?? []]);
    const [mayRead, mayWrite, mayDelete] = [inside(read), inside(write), inside(deletes)];
    await using world = new World(items, isGranted, "same");
    await using other = new World(items, isGranted, "other");
    for (const action of actions) {
      const before = world.seen();
      const answer = await ask(world.storage, who, action);
      const what = JSON.stringify({ grants, action, answer, before: [...before] }, null, 1);
      // What the client learns does not depend on what is outside of its grants.
      assertEquals(await ask(other.storage, who, action), answer, what);
      if (answer.startsWith("at ")) assert(mayRead(answer.slice(3)), `it was read: ${what}`);
      const after = world.seen();
      for (const [path, what] of before) {
        if (after.get(path) !== what) {
          assert(mayDelete(path) || mayWrite(path), `${path} went: ${what}`);
        }
        if (!after.has(path)) assert(mayDelete(path), `${path} was removed: ${what}`);
      }
      for (const path of after.keys()) {
        if (before.has(path)) continue;
        const isAbove = write?.some((prefix) => prefix.startsWith(`${path}/`));
        assert(mayWrite(path) || isAbove, `${path} came: ${what}`);
      }
    }
    return true;
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(item, { minLength: 3, maxLength: 10 }),
      grants.filter((each) => Object.values(each).some((all) => all.length > 0)),
      fc.array(action, { minLength: 4, maxLength: 24 }),
      run,
    ),
    { numRuns: Number(Deno.env.get("FERRY_BOUNDS_RUNS") ?? 40) },
  );
});

/** A root with `in/`, `out/` and `top`. In `in/` are links that lead out of it, to existing and missing targets. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly whole: FsStorage;

  constructor() {
    for (const path of ["in/sub", "out/sub"]) {
      Deno.mkdirSync(`${this.root}/${path}`, { recursive: true });
    }
    for (const path of ["in/file", "out/file", "top"]) this.dir.write(`root/${path}`, path);
    const links = {
      there: "../out",
      nowhere: "../nothing",
      "file-there": "../out/file",
      "file-nowhere": "../out/nothing",
      up: "..",
      round: "../out/../in/sub",
      fine: "../in/sub",
    };
    for (const [link, to] of Object.entries(links)) Deno.symlinkSync(to, `${this.root}/in/${link}`);
    this.whole = FsStorage.open(this.root, { durability: "none" });
  }

  /** The storage as restricted for an operation by a token with these grants. */
  as(grants: string, op: Parameters<typeof boundsOf>[1]["op"] = "get"): FsStorage {
    const who = { grants: parseGrants([grants], []), mayAuthenticate: false };
    return this.whole.within(boundsOf(who, { op, filename: "in/x" })!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.whole[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

const ALL = "read:in/,write:in/,delete:in/";

Deno.test("what is refused for a link is refused in the same words whatever is there", async () => {
  await using f = new Fixture();
  const links = ["there/file", "nowhere/file", "file-there", "file-nowhere", "up/top", "round/x"];
  const operations: Record<string, (link: string) => Promise<unknown>> = {
    stat: (link) => f.as(ALL, "stat").stat(name(link)),
    find: (link) => f.as(ALL, "put").find(name(link)),
    list: (link) => Array.fromAsync(f.as(ALL, "list").list(name(link), { recursive: true })),
    open: (link) => f.as(ALL, "get").open(name(link), "md5"),
    checksum: (link) => f.as(ALL, "stat").checksum(name(link), "md5"),
    findAll: async (link) => {
      const [found] = await f.as(ALL, "compare").findAll([name(link)]);
      if (found instanceof Error) throw found;
    },
    assertFits: (link) => f.as(ALL, "put").assertFits(name(link), 1),
    create: (link) => f.as(ALL, "put").create(name(link), { size: 1 }),
    "create of a new file": (link) =>
      f.as(ALL, "put").create(name(link), { size: 1, replace: false }),
    "find partial uploads": (link) =>
      f.as(ALL, "put").partialUploads.find(name(link), { size: 9e6 }),
    mkdir: (link) => f.as(ALL, "mkdir").mkdir(name(link)),
  };
  for (const [operation, run] of Object.entries(operations)) {
    for (const link of links) {
      const { message } = await assertCode("denied", () => run(`in/${link}`));
      assertEquals(message, "a symbolic link leads out of what is granted", `${operation} ${link}`);
    }
  }
  for (const link of ["there/file", "nowhere/file", "up/top"].map((link) => name(`in/${link}`))) {
    await assertCode("denied", () => f.as(ALL, "remove").remove(link, { recursive: true }));
    await assertCode("denied", () => f.as(ALL, "move").move(link, name("in/x"), { replace: true }));
    const moved = f.as(ALL, "move").move(name("in/file"), link, { replace: true });
    await assertCode("denied", () => moved);
  }
  // A link that stays inside of the grants is followed, and one that does not can be removed.
  assertEquals((await f.as(ALL, "stat").stat(name("in/fine"))).type, "directory");
  await f.as(ALL, "remove").remove(name("in/there"), { recursive: true });
  assertEquals(await textOf(f.whole, "out/file"), "out/file");
});

Deno.test("lists leave out the links that lead out of what is granted", async () => {
  await using f = new Fixture();
  for (const omitted of [false, true]) {
    const options = { recursive: false, omitted };
    const entries = await Array.fromAsync(f.as(ALL, "list").list(name("in"), options));
    assertEquals(entries.map(({ filename }) => filename), ["in/file", "in/fine", "in/sub"]);
  }
});

Deno.test("a link to what is granted elsewhere is followed as far as each scope goes", async () => {
  await using f = new Fixture();
  const grants = "read:in/,read:out/,write:in/,delete:in/";
  assertEquals(await textOf(f.as(grants, "get"), "in/there/file"), "out/file");
  await assertCode("denied", () => put(f.as(grants, "put"), "in/there/new", "x"));
  await assertCode("denied", () => {
    return f.as(grants, "remove").remove(name("in/there/file"), { recursive: false });
  });
  const [both, read] = await f.as(grants, "compare").findAll([
    name("in/fine/x"),
    name("in/there/x"),
  ]);
  assertEquals(both, undefined);
  assert(read instanceof Error && read.message.includes("symbolic link"));
  // A grant for a directory's content does not cover the directory itself.
  const nested = "write:in/,delete:in/,delete:out/sub/";
  await assertCode("denied", () => {
    return f.as(nested, "remove").remove(name("in/there/sub"), { recursive: true });
  });
});

Deno.test("a link in the place of a directory that is granted leads to nothing that is granted", async () => {
  await using f = new Fixture();
  Deno.symlinkSync("out", `${f.root}/alias`);
  await assertCode("denied", () => textOf(f.as("read:alias/"), "alias/file"));
});

Deno.test("mkdir makes the directory that is granted, and what is above it", async () => {
  await using f = new Fixture();
  await f.as("write:new/deep/", "mkdir").mkdir(name("new/deep"));
  await put(f.as("write:other/deep/", "put"), "other/deep/file", "x");
  assertEquals(await textOf(f.whole, "other/deep/file"), "x");
});

Deno.test("to move is no way to read by links either", async () => {
  await using f = new Fixture();
  Deno.mkdirSync(`${f.root}/in/shown`);
  Deno.symlinkSync("shown", `${f.root}/in/to-shown`);
  const grants = "delete:in/,write:in/,read:in/shown/";
  const move = (from: string, to: string) => {
    return f.as(grants, "move").move(name(from), name(to), { replace: true });
  };
  await assertCode("denied", () => move("in/file", "in/to-shown/file"));
  await assertCode("denied", () => move("in/file", "in/to-shown/new/file"));
  assertEquals([...Deno.readDirSync(`${f.root}/in/shown`)], []);
  f.dir.write("root/in/shown/seen", "seen");
  await move("in/to-shown/seen", "in/to-shown/again");
  await move("in/file", "in/fine/file");
  // Delete and write may be granted everywhere.
  const bounds = boundsOf(
    { grants: parseGrants(["delete,write,read:in/shown/"], []), mayAuthenticate: false },
    { op: "move" },
  );
  const storage = f.whole.within(bounds!);
  await assertCode(
    "denied",
    () => storage.move(name("top"), name("in/to-shown/top"), { replace: true }),
  );
});

Deno.test("an upload stays within its bounds when the tree changes before it is committed", async () => {
  await using f = new Fixture();
  await using pending = await begin(f.as(ALL, "put"), "in/sub/new", "x");
  await using other = await begin(f.whole, "in/sub/other", "x");
  await using another = await begin(f.as(ALL, "put"), "in/sub/new", "x");
  await f.whole.remove(name("in/sub"), { recursive: true });
  await f.whole.move(name("in/there"), name("in/sub"), { replace: true });
  // They are published in one group, and each gets the answer for its own permissions.
  const commits = [pending, other, another].map((each) =>
    each.commit({ checksum: md5("x"), replace: true })
  );
  const outcomes = await Promise.allSettled(commits);
  assertEquals(outcomes.map(({ status }) => status), ["rejected", "fulfilled", "rejected"]);
  for (const refused of [commits[0]!, commits[2]!]) await assertCode("denied", () => refused);
  assertEquals(await textOf(f.whole, "out/other"), "x");
  await assertCode("not_found", () => textOf(f.whole, "out/new"));
});
