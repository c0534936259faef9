import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Listed } from "../../lib/core/entry.ts";
import type { Storage } from "../../mod.ts";
import { InProcess } from "../support/in_process.ts";
import { Pair } from "../support/pair.ts";

const LINKS = ["--allow-links"];

/** The links below a directory, with what they say. */
function linksIn(root: string, prefix = ""): Record<string, string> {
  const links: Record<string, string> = {};
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(root)) {
    if (isSymlink) links[prefix + name] = Deno.readLinkSync(`${root}/${name}`);
    else if (isDirectory) Object.assign(links, linksIn(`${root}/${name}`, `${prefix}${name}/`));
  }
  return links;
}

/** Makes a tree with links in the working directory: those that stay, and others. */
function plant(p: Pair): void {
  Deno.mkdirSync(`${p.cwd}/t/sub/deep`, { recursive: true });
  Deno.mkdirSync(`${p.cwd}/t/only`);
  p.write("t/file", "content");
  const links = { ...STAY, absolute: "/etc/passwd", odd: "sub/../file" };
  for (const [name, target] of Object.entries(links)) {
    Deno.symlinkSync(target, `${p.cwd}/t/${name}`);
  }
}

const STAY = {
  "dangling": "nowhere/at/all",
  "dir": "sub",
  "only/link": "../file",
  "sub/deep/up": "../../file",
  "to file": "./file",
};

/** The events of a run with `--json`, and its exit status. */
async function eventsOf(p: Pair, ...args: string[]) {
  const { code, stdout, stderr } = await p.run(...args, "--json");
  assertEquals(stderr, "");
  const events = stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const named = (event: string) => events.filter((each) => each.event === event);
  return { code, done: named("done"), skipped: named("skipped"), summary: events.at(-1) };
}

Deno.test("ferry put and get --links keep links that stay, there and back", async () => {
  await using p = await Pair.shared(LINKS);
  plant(p);
  const planned = await p.run("put", "t", "--links", "--dry-run");
  assertStringIncludes(planned.stdout, "would put t/sub/deep/up\n");
  assertEquals([...Deno.readDirSync(p.root)].filter(({ name }) => name === "t"), []);
  const put = await eventsOf(p, "put", "t", "--links");
  assertEquals(put.code, 0);
  assertEquals(
    put.done.filter(({ link }) => link !== undefined).map((each) => [each.filename, each.link])
      .sort(),
    Object.entries(STAY).map(([name, target]) => [`t/${name}`, target]).sort(),
  );
  assertEquals(put.skipped.map(({ filename, reason }) => [filename, reason]), [
    ["t/absolute", "symbolic link whose target is absolute"],
    ["t/odd", 'symbolic link whose target has ".." behind a name'],
  ]);
  assertEquals([put.summary.files, put.summary.bytes, put.summary.omitted], [6, 7, 2]);
  assertEquals(linksIn(`${p.root}/t`), STAY);
  const times = ["cwd", "root"].map((side) => Deno.lstatSync(p.dir.join(`${side}/t/dir`)).mtime);
  assertEquals(times[0], times[1]);
  const again = await eventsOf(p, "put", "t", "--links", "--overwrite", "always");
  assertEquals(again.done.filter(({ link }) => link).map(({ skipped }) => skipped), [
    ...[true, true, true, true, true],
  ]);
  for (const skipped of [0, 6]) {
    const get = await eventsOf(p, "get", "t", "--out", "back", "--links");
    assertEquals([get.code, get.summary.files, get.summary.skipped], [0, 6 - skipped, skipped]);
    assertEquals(linksIn(`${p.cwd}/back`), STAY);
  }
  assertEquals(Deno.lstatSync(`${p.cwd}/back/dir`).mtime, times[0]);
  const filtered = await p.run("get", "t", "--out", "some", "--links", "--include", "sub/**");
  assertEquals(filtered.code, 0);
  assertEquals(linksIn(`${p.cwd}/some`), { "sub/deep/up": "../../file" });
});

Deno.test("without --links all is as before: links are skipped, or followed", async () => {
  await using p = await Pair.shared(LINKS);
  plant(p);
  const put = await p.run("put", "t");
  assertStringIncludes(put.stderr, "1 transferred");
  assertEquals(linksIn(`${p.root}/t`), {});
  Deno.symlinkSync("file", `${p.root}/t/link`);
  const get = await p.run("get", "t", "--out", "back");
  assertEquals([get.code, Deno.lstatSync(`${p.cwd}/back/link`).isFile], [0, true]);
  const both = await p.run("put", "t", "--links", "--follow");
  assertEquals(both.code, 2);
  assertStringIncludes(both.stderr, "--follow and --links do not go together");
});

Deno.test("a server that keeps no links says so at once", async () => {
  await using p = await Pair.shared();
  plant(p);
  for (const args of [["put", "t", "--links"], ["get", ".", "--out", "back", "--links"]]) {
    const { code, stderr } = await p.run(...args);
    assert(code !== 0);
    assertStringIncludes(stderr, "does not offer symbolic links");
  }
  assertEquals([...Deno.readDirSync(p.root)].filter(({ name }) => name === "t"), []);
  using peer = await p.connect();
  await peer.send({ op: "link", filename: "l", target: "x" });
  assertEquals(await peer.code(), "denied");
});

Deno.test("links replace by the overwrite policy, on both sides", async () => {
  await using p = await Pair.shared(LINKS);
  for (const side of ["cwd", "root"]) Deno.mkdirSync(p.dir.join(`${side}/t`));
  const links = (side: "cwd" | "root", target: string) => {
    const path = p.dir.join(`${side}/t/l`);
    Deno.removeSync(path, { recursive: true });
    Deno.symlinkSync(target, path);
  };
  p.write("t/l", "");
  Deno.writeTextFileSync(`${p.root}/t/l`, "a file");
  links("cwd", "new");
  const put = (...args: string[]) => eventsOf(p, "put", "t", "--links", ...args);
  const get = (...args: string[]) => eventsOf(p, "get", "t", "--out", "t", "--links", ...args);
  assertEquals((await p.run("put", "t", "--links")).code, 5);
  assertEquals(Deno.readTextFileSync(`${p.root}/t/l`), "a file");
  assertEquals((await put("--overwrite", "different")).code, 0);
  assertEquals(Deno.readLinkSync(`${p.root}/t/l`), "new");
  links("root", "newer");
  // The link of the server is not older, so it stays, and replaces the local one.
  assertEquals((await put("--overwrite", "newer")).summary.skipped, 1);
  assertEquals(Deno.readLinkSync(`${p.root}/t/l`), "newer");
  assertEquals((await p.run("get", "t", "--out", "t", "--links")).code, 5);
  assertEquals((await get("--overwrite", "always")).code, 0);
  assertEquals(Deno.readLinkSync(`${p.cwd}/t/l`), "newer");
  Deno.removeSync(`${p.cwd}/t/l`);
  Deno.mkdirSync(`${p.cwd}/t/l`);
  assertEquals((await p.run("get", "t", "--out", "t", "--links", "--overwrite", "always")).code, 5);
  assert(Deno.lstatSync(`${p.cwd}/t/l`).isDirectory);
});

/** What a malicious server tells of, each with a link or the content of a file. */
type Tales =
  readonly (readonly [filename: string, tale: { target: string } | { content: string }])[];

/** A server that lists what it is told to, whatever it has. */
function telling(tales: Tales): (storage: Storage) => Storage {
  return (storage) => {
    const told: Record<string, unknown> = {
      links: {},
      async *list(): AsyncGenerator<Listed> {
        for (const [filename, tale] of tales) {
          if ("target" in tale) {
            yield { filename, omitted: "link", link: { target: tale.target, mtime: 0 } };
            continue;
          }
          const { checksum, size } = await storage.stat("payload" as never);
          yield { filename, type: "file", size, mtime: 0, mode: 0o644, checksum };
        }
      },
      open: (_name: string, algorithm: never) => storage.open("payload" as never, algorithm),
    };
    return new Proxy(storage, {
      get: (target, key) => {
        if (typeof key === "string" && key in told) return told[key];
        const value = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
}

/** Downloads what a malicious server tells of into `out`, and returns what is reported. */
async function outcomeOf(tales: Tales, prepare: (s: InProcess) => void = () => {}) {
  const s = await InProcess.start(telling(tales) as never);
  Deno.writeTextFileSync(s.served("payload"), "payload");
  Deno.mkdirSync(s.served("t"));
  Deno.mkdirSync(s.dir.join("out"));
  Deno.mkdirSync(s.dir.join("outside"));
  prepare(s);
  const failed: Record<string, string> = {};
  const skipped: string[] = [];
  for (let run = 0; run < 2; run++) {
    await s.client.getTree("t", {
      out: s.dir.join("out"),
      links: true,
      overwrite: "always",
      onError: (filename, { code }) => failed[filename] = code,
      onSkip: ({ path }) => void skipped.push(path),
    });
  }
  assertEquals([...Deno.readDirSync(s.dir.join("outside"))].map(({ name }) => name), []);
  return { s, failed, skipped: [...new Set(skipped)], out: s.dir.join("out") };
}

Deno.test("ferry get --links writes nothing through links that a server makes up", async () => {
  const { s, failed, out } = await outcomeOf([
    ["t/first", { target: "sub" }],
    ["t/first/file", { content: "" }],
    ["t/later/file", { content: "" }],
    ["t/later", { target: "../outside" }],
    ["t/later2/file", { content: "" }],
    ["t/later2", { target: "sub" }],
  ]);
  await using _s = s;
  assertEquals(failed, { "t/later": "not_a_file", "t/later2": "not_a_file" });
  assertEquals(Deno.readLinkSync(`${out}/first`), "sub");
  assertEquals([...Deno.readDirSync(out)].map(({ name }) => name).sort(), [
    ...["first", "later", "later2"],
  ]);
});

Deno.test("ferry get --links makes no link that leads out, by its text or in fact", async () => {
  const { s, failed, skipped, out } = await outcomeOf([
    ["t/ok/up", { target: ".." }],
    ["t/out", { target: "../outside" }],
    ["t/ok/out", { target: "../../outside/x" }],
    ["t/absolute", { target: "/etc/passwd" }],
    ["t/odd", { target: "ok/../../outside" }],
    ["t/empty", { target: "" }],
    // Through links of the user that lead out.
    ["t/mine/link", { target: "x" }],
    ["t/through", { target: "mine/x" }],
    ["t/chain", { target: "hop" }],
    // The directory is higher than its name says.
    ["t/ok/up/link", { target: "../x" }],
    ["t/deep/high/link", { target: "../x" }],
  ], (s) => {
    Deno.mkdirSync(s.dir.join("out/deep"));
    Deno.symlinkSync("../outside", s.dir.join("out/mine"));
    Deno.symlinkSync("mine", s.dir.join("out/hop"));
    Deno.symlinkSync("..", s.dir.join("out/deep/high"));
  });
  await using _s = s;
  const denied = ["chain", "deep/high/link", "mine/link", "ok/out", "out", "through"];
  assertEquals(failed, Object.fromEntries(denied.map((name) => [`t/${name}`, "denied"])));
  assertEquals(skipped.sort(), ["t/absolute", "t/empty", "t/odd"]);
  assertEquals(linksIn(out), {
    "deep/high": "..",
    "hop": "mine",
    "mine": "../outside",
    "ok/up": "..",
  });
});
