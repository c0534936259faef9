/**
 * Every operation of a storage on every kind of link.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { toFerryError } from "../../../../lib/core/errors.ts";
import { type FileName, parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { isTaken } from "../../../../lib/files/path_lookup.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { listed, put, textOf } from "../../../support/stored_files.ts";

/** What a link comes to. */
type Kind = "directory" | "file" | "out" | "nowhere" | "blocked" | "loop";

/**
 * Links by their targets. `ROOT` is the root's path, and `HERE` that of the directory in it where the link
 * stands, beside `dir/file`, `f`, and the links that the longer ones lead over.
 */
const LINKS: Readonly<Record<Kind, readonly string[]>> = {
  directory: ["dir", "./dir/", "HERE/dir", "HERE//dir/.", "dir/../dir", "in-a", "HERE/in-b"],
  file: ["dir/file", "HERE/dir/file", "in-a/file", "in-f"],
  out: [
    "ROOT-outside",
    "../../root-outside",
    "../..",
    "/",
    "/etc/passwd",
    "ROOT/../root-outside",
    "ROOT-outside/secret",
    "../../root-outside/missing",
    "../../root-outside/secret/below",
    "../../../../../../../../../etc",
    "../../root/0/dir",
    "out-a",
    "HERE/out-b",
    "out-b/secret",
    "../.ferry",
    "ROOT/.ferry/lock",
    "in-own/staging",
    "/proc/self/cwd",
    "/dev/fd/0",
  ],
  nowhere: ["missing", "HERE/dir/missing", "in-a/missing", "dangling"],
  blocked: ["f/below", "in-f/below"],
  loop: ["link", "HERE/link", "loop-a"],
};

const OTHERS: Readonly<Record<string, string>> = {
  "in-a": "dir",
  "in-b": "in-a",
  "in-f": "dir/file",
  "in-own": "../.ferry",
  "out-a": "../../root-outside",
  "out-b": "out-a",
  "dangling": "missing",
  "loop-a": "loop-b",
  "loop-b": "loop-a",
};

/** Something is done to a name that is a link's, or below it; `at` gives the names beside it. */
interface Operation {
  run: (storage: FsStorage, at: (name: string) => FileName) => unknown;
  /** What it comes to: a code, or "ok". */
  expected: Readonly<Record<Kind, string>>;
}

/** The same for everything that is not in the root. */
function expected(
  directory: string,
  file: string,
  out: string,
  nowhere = out,
  loop = out,
): Readonly<Record<Kind, string>> {
  const blocked = nowhere === "not_found" ? "not_a_file" : nowhere;
  return { directory, file, out, nowhere, blocked, loop };
}

const NOT_BELOW = expected("ok", "not_a_file", "not_found", "not_a_file", "bad_name");
const NOT_IN = expected("not_found", "not_a_file", "not_found", "not_found", "bad_name");

const OPERATIONS: Readonly<Record<string, Operation>> = {
  "stat()": {
    run: (s, at) => s.stat(at("link")),
    expected: expected("ok", "ok", "not_found", "not_found", "bad_name"),
  },
  "find()": {
    run: async (s, at) => assert(await s.find(at("link")), "undefined"),
    expected: expected("ok", "ok", "undefined"),
  },
  "find() below": {
    run: async (s, at) => assert(await s.find(at("link/file")), "undefined"),
    expected: expected("ok", "undefined", "undefined"),
  },
  "findAll()": {
    run: async (s, at) => assert((await s.findAll([at("link")]))[0], "undefined"),
    expected: expected("ok", "ok", "undefined"),
  },
  "list()": {
    run: (s, at) => listed(s, at("link")),
    expected: expected("ok", "not_a_file", "not_found", "not_found", "bad_name"),
  },
  "list() of what is above": {
    run: async (s, at) => assert((await listed(s)).includes(at("link")), "undefined"),
    expected: expected("ok", "ok", "undefined"),
  },
  "open()": {
    run: (s, at) => textOf(s, at("link")),
    expected: expected("not_a_file", "ok", "not_found", "not_found", "bad_name"),
  },
  "open() below": {
    run: (s, at) => textOf(s, at("link/file")),
    expected: expected("ok", "not_a_file", "not_found", "not_found", "bad_name"),
  },
  "checksum()": {
    run: (s, at) => s.checksum(at("link"), "sha256"),
    expected: expected("not_a_file", "ok", "not_found", "not_found", "bad_name"),
  },
  "assertFits()": {
    run: (s, at) => s.assertFits(at("link"), 1),
    expected: expected("not_a_file", "ok", "ok"),
  },
  "commit()": {
    run: (s, at) => put(s, at("link"), "other"),
    expected: expected("not_a_file", "exists", "exists"),
  },
  "commit() with replace": {
    run: (s, at) => put(s, at("link"), "other", { replace: true }),
    expected: expected("not_a_file", "ok", "ok"),
  },
  "commit() below": { run: (s, at) => put(s, at("link/new"), "other"), expected: NOT_BELOW },
  "commit() deep below": {
    run: (s, at) => put(s, at("link/new/deep"), "other"),
    expected: NOT_BELOW,
  },
  "commit() below with replace": {
    run: (s, at) => put(s, at("link/file"), "other", { replace: true }),
    expected: NOT_BELOW,
  },
  "partialUploads.find()": {
    run: (s, at) => s.partialUploads.find(at("link"), { size: 10_000_000 }),
    expected: expected("not_a_file", "ok", "ok"),
  },
  "mkdir()": { run: (s, at) => s.mkdir(at("link")), expected: expected("ok", "exists", "exists") },
  "mkdir() below": { run: (s, at) => s.mkdir(at("link/new")), expected: NOT_BELOW },
  "mkdir() deep below": { run: (s, at) => s.mkdir(at("link/new/deep")), expected: NOT_BELOW },
  "remove()": {
    run: (s, at) => s.remove(at("link"), { recursive: false }),
    expected: expected("ok", "ok", "ok"),
  },
  "remove() recursively": {
    run: (s, at) => s.remove(at("link"), { recursive: true }),
    expected: expected("ok", "ok", "ok"),
  },
  "remove() of what is above": {
    run: (s, at) => s.remove(at("above"), { recursive: true }),
    expected: expected("ok", "ok", "ok"),
  },
  "remove() below": {
    run: (s, at) => s.remove(at("link/file"), { recursive: true }),
    expected: { ...NOT_IN, directory: "ok" },
  },
  "remove() of secrets": {
    run: (s, at) => s.remove(at("link/secret"), { recursive: true }),
    expected: NOT_IN,
  },
  "move() away": {
    run: (s, at) => s.move(at("link"), at("away/link"), { replace: false }),
    expected: expected("ok", "ok", "ok"),
  },
  "move() of what is below": {
    run: (s, at) => s.move(at("link/secret"), at("stolen"), { replace: true }),
    expected: NOT_IN,
  },
  "move() onto it": {
    run: (s, at) => s.move(at("f"), at("link"), { replace: false }),
    expected: expected("exists", "exists", "exists"),
  },
  "move() onto it with replace": {
    run: (s, at) => s.move(at("f"), at("link"), { replace: true }),
    expected: expected("ok", "ok", "ok"),
  },
  "move() below it": {
    run: (s, at) => s.move(at("f"), at("link/new"), { replace: true }),
    expected: NOT_BELOW,
  },
  "move() of a directory below it": {
    run: (s, at) => s.move(at("other"), at("link/new/deep"), { replace: false }),
    expected: NOT_BELOW,
  },
};

/** All that is in a directory, ferry's own aside. */
function seen(path: string): string[] {
  const entries = [...Deno.readDirSync(path)].filter(({ name }) => name !== ".ferry");
  return entries.flatMap(({ name, isDirectory, isFile }) => {
    const child = `${path}/${name}`;
    const { mtime, ino } = Deno.lstatSync(child);
    const content = isFile ? Deno.readTextFileSync(child) : "";
    return [
      `${child} ${ino} ${mtime?.getTime()} ${content}`,
      ...(isDirectory ? seen(child) : []),
    ];
  }).sort();
}

/** Makes the links that a target leads over. */
function makeOthers(here: string, target: string): void {
  for (const other of target.split("/")) {
    const to = OTHERS[other];
    if (to === undefined || isTaken(`${here}/${other}`)) continue;
    Deno.symlinkSync(to, `${here}/${other}`);
    makeOthers(here, to);
  }
}

/** Makes a directory of that name in the root, with a link in it to that target. */
function make(root: string, here: string, target: string): void {
  for (const path of ["dir", "other", "above"]) {
    Deno.mkdirSync(`${here}/${path}`, { recursive: true });
  }
  Deno.writeTextFileSync(`${here}/dir/file`, "content");
  Deno.writeTextFileSync(`${here}/f`, "mine");
  makeOthers(here, target);
  Deno.symlinkSync(target.replace("ROOT", root).replace("HERE", here), `${here}/link`);
  Deno.symlinkSync("../link", `${here}/above/link`);
}

/** Does it to links with these targets, and tells what it came to with each. */
async function outcomes(targets: readonly string[], { run }: Operation): Promise<string[]> {
  await using dir = new TempDir();
  const root = Deno.realPathSync(dir.path) + "/root";
  for (const path of ["root", "root-outside/sub"]) {
    Deno.mkdirSync(dir.join(path), { recursive: true });
  }
  for (const secret of ["secret", "file", "new", "sub/secret"]) {
    dir.write(`root-outside/${secret}`, "secret");
  }
  const outside = seen(`${root}-outside`);
  await using storage = FsStorage.open(root, { durability: "none" });
  const came: string[] = [];
  for (const [turn, target] of targets.entries()) {
    make(root, `${root}/${turn}`, target);
    try {
      await run(storage, (text) => name(`${turn}/${text}`));
      came.push("ok");
    } catch (error) {
      const isUndefined = error instanceof Error && error.message === "undefined";
      came.push(isUndefined ? "undefined" : toFerryError(error).code);
    }
    assertEquals(seen(`${root}-outside`), outside, `${target}: what is outside has changed`);
  }
  assertEquals(
    [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort(),
    ["root", "root-outside"],
    "something was made beside the root",
  );
  assert(!seen(root).some((each) => each.endsWith(" secret")), "a secret came into the root");
  // Ferry's own directory is whole.
  await put(storage, "after", "after");
  assertEquals(await storage.checksum(name("after"), "md5"), md5("after"));
  return came;
}

for (const [what, operation] of Object.entries(OPERATIONS)) {
  Deno.test(`FsStorage.${what} on every kind of link`, async () => {
    const kinds = Object.entries(LINKS) as [Kind, readonly string[]][];
    const each = kinds.flatMap(([kind, targets]) => targets.map((target) => ({ kind, target })));
    const came = await outcomes(each.map(({ target }) => target), operation);
    const lines = (come: (turn: number, kind: Kind) => string | undefined) =>
      each.map(({ kind, target }, turn) => `${kind} ${target}: ${come(turn, kind)}`);
    assertEquals(lines((turn) => came[turn]), lines((_, kind) => operation.expected[kind]));
  });
}

Deno.test("remove() and move() with `within` go through no link below that directory", async () => {
  await using dir = new TempDir();
  for (const path of ["root/t", "root/else/deep"]) {
    Deno.mkdirSync(dir.join(path), { recursive: true });
  }
  for (const path of ["t/a", "else/a", "else/deep/b"]) dir.write(`root/${path}`, "x");
  Deno.symlinkSync("../else", dir.join("root/t/link"));
  Deno.symlinkSync("else", dir.join("root/way"));
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  const before = await listed(storage, "else");
  for (const within of [name("t"), ""] as const) {
    for (const path of ["t/link/a", "t/link/deep", "t/link/deep/b"].map(name)) {
      for (const recursive of [false, true]) {
        await assertCode("not_a_file", () => storage.remove(path, { recursive, within }));
      }
      const move = () => storage.move(path, name("moved"), { replace: false, within });
      await assertCode("not_a_file", move);
    }
  }
  await assertCode("not_a_file", () => {
    return storage.remove(name("way/a"), { recursive: false, within: "" });
  });
  assertEquals(await listed(storage, "else"), before);
  // The directory itself may be reached by a link, and the last component may be one.
  await storage.remove(name("way/a"), { recursive: false, within: name("way") });
  await storage.remove(name("t/link"), { recursive: true, within: name("t") });
  await storage.move(name("t/a"), name("moved"), { replace: false, within: name("t") });
  assertEquals(await listed(storage), ["else", "else/deep", "else/deep/b", "moved", "t", "way"]);
});
