import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { connect, Filter, FsStorage, MemoryStorage, serve } from "../../mod.ts";
import { connect as connectTo } from "../../client/api/connect.ts";
import { MIB } from "../support/bytes.ts";
import { assertCode } from "../support/assertions.ts";
import { namesIn } from "../support/directories.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { Mount, testWithMount } from "../support/mount.ts";
import { Pair } from "../support/pair.ts";
import { Ferryd, stagedIn, TempDir } from "../support/programs.ts";

/** Runs `ferry put --atomic --json`, and returns its events. */
async function publish(p: Pair, ...args: string[]) {
  const { code, stdout } = await p.run("put", ...args, "--atomic", "--json");
  const events = stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const of = (event: string) => events.filter((each) => each.event === event);
  return { code, events, of };
}

/** The entries below a directory, those of directories with a slash. */
function treeOf(root: string, prefix = ""): string[] {
  return [...Deno.readDirSync(`${root}/${prefix}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? [`${prefix}${name}/`, ...treeOf(root, `${prefix}${name}/`)] : [`${prefix}${name}`]
  ).sort();
}

/** Makes files in the working directory. */
function make(p: Pair, files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    Deno.mkdirSync(`${p.cwd}/${name}`.replace(/[^/]*$/, ""), { recursive: true });
    p.write(name, content);
  }
}

Deno.test("ferry put --atomic publishes a new directory, and replaces one where that is asked for", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a": "1", "t/s/b": "22", "t/log/x": "no" });
  Deno.mkdirSync(`${p.cwd}/t/empty`);
  const first = await publish(p, "t", "--as", "p/site", "--exclude", "log");
  assertEquals(first.code, 0);
  const published = { event: "published", op: "put", filename: "p/site", files: 2, bytes: 3 };
  assertEquals(first.of("published"), [{ ...published, replaced: false }]);
  assertEquals(treeOf(`${p.root}/p/site`), ["a", "empty/", "s/", "s/b"]);
  // Nothing is sent where a directory is there and must not be replaced.
  const refused = await publish(p, "t", "--as", "p/site");
  assertEquals([refused.code, refused.of("error")[0].code], [5, "exists"]);
  assertEquals(refused.of("transferred"), []);
  Deno.writeTextFileSync(`${p.root}/p/site/only`, "here");
  Deno.mkdirSync(`${p.root}/p/site/log`);
  Deno.writeTextFileSync(`${p.root}/p/site/log/kept`, "kept");
  p.write("t/s/b", "another");
  const options = ["--as", "p/site", "--exclude", "log", "--overwrite", "different"];
  const dry = await p.run("put", "t", ...options, "--atomic", "-n", "--json");
  assertEquals(dry.code, 0);
  assertStringIncludes(dry.stdout, '"filename":"p/site/s/b"');
  assertEquals(Deno.readTextFileSync(`${p.root}/p/site/s/b`), "22");
  const again = await publish(p, "t", ...options);
  assertEquals(again.code, 0);
  assertEquals(again.of("published"), [{ ...published, files: 3, bytes: 12, replaced: true }]);
  assertEquals(again.events.at(-1).bytes, 7, "what has not changed was sent again");
  assertEquals(treeOf(`${p.root}/p/site`), ["a", "empty/", "log/", "log/kept", "s/", "s/b"]);
  assertEquals(Deno.readTextFileSync(`${p.root}/p/site/s/b`), "another");
  assertEquals(stagedIn(p.root), []);
});

Deno.test("what the filter leaves out stays as it is: links, empty directories, names that links have", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a": "1" });
  assertEquals((await publish(p, "t")).code, 0);
  const log = `${p.root}/t/log`;
  for (const directory of [log, `${log}/empty`, `${log}/d`]) Deno.mkdirSync(directory);
  Deno.writeTextFileSync(`${log}/d/file`, "kept");
  const links = { file: "d/file", directory: "d", nothing: "nowhere", out: "/etc" };
  for (const [name, target] of Object.entries(links)) {
    Deno.symlinkSync(target, `${log}/to-${name}`);
  }
  const options = ["--exclude", "log", "--overwrite", "different"];
  const { code, of } = await publish(p, "t", ...options);
  assertEquals([code, of("error")], [0, []]);
  const kept = ["d/", "d/file", "empty/", ...Object.keys(links).map((name) => `to-${name}`)];
  assertEquals(treeOf(log), kept.sort());
  for (const [name, target] of Object.entries(links)) {
    assertEquals(Deno.readLinkSync(`${log}/to-${name}`), target);
  }
  // What cannot stay as it is ends the attempt, and the old directory stays.
  await new Deno.Command("mkfifo", { args: [`${log}/pipe`] }).output();
  const refused = await publish(p, "t", ...options);
  assertEquals([refused.code, refused.of("error")[0].code], [5, "not_a_file"]);
  assertStringIncludes(refused.of("error")[0].message, "t/log/pipe");
  assertEquals(treeOf(log), [...kept, "pipe"].sort());
});

Deno.test("a directory of which a file fails is not published, and the next attempt goes on", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a": "1", "t/b": "2", "t/c": "3" });
  await using client = await connect(p.server.address);
  const done: string[] = [];
  const onFile = ({ filename }: { filename: string }) => void done.push(filename);
  const onPlan = () => Deno.removeSync(`${p.cwd}/t/b`);
  const put = () => client.putTree(`${p.cwd}/t`, { atomic: true, onPlan, onFile });
  await assertCode("not_found", put, "the directory is not published");
  assertEquals(done, ["t/a", "t/c"]);
  assertEquals(namesIn(p.root), [".ferry"]);
  Deno.removeSync(`${p.cwd}/t/c`);
  await client.putTree(`${p.cwd}/t`, {
    atomic: true,
    onFile: ({ skipped }) => assert(skipped, "it was sent again"),
  });
  assertEquals(treeOf(`${p.root}/t`), ["a"], "what is gone since was published");
  assertEquals(stagedIn(p.root), []);
});

Deno.test("who reads a directory that is published again and again sees each state as a whole", async () => {
  await using p = await Pair.shared();
  await using client = await connect(p.server.address);
  const names = Array.from({ length: 12 }, (_, at) => at % 3 ? `t/${at}` : `t/s/${at}`);
  const publish = async (state: number) => {
    make(p, Object.fromEntries(names.map((name) => [name, `${state}`])));
    await client.putTree(`${p.cwd}/t`, { atomic: true, overwrite: "different" });
  };
  await publish(0);
  let last = 0;
  let reads = 0;
  let over = false;
  const reading = (async () => {
    // In one order and in the other: states that are mixed would go back in one of them.
    for (let turn = 0; !over; turn++) {
      for (const name of turn % 2 ? names : names.toReversed()) {
        const state = await Deno.readTextFile(`${p.root}/${name}`).catch((error) => {
          // Between two system calls the name leads nowhere.
          if (error instanceof Deno.errors.NotFound) return undefined;
          throw error;
        });
        if (state === undefined) continue;
        assert(Number(state) >= last, `${name} is of the state ${state}, after ${last}`);
        last = Number(state);
        reads++;
      }
    }
  })();
  reading.catch(() => {});
  try {
    for (let state = 1; state <= 12; state++) await publish(state);
  } finally {
    over = true;
  }
  await reading;
  assert(reads > 0);
  for (const name of names) assertEquals(Deno.readTextFileSync(`${p.root}/${name}`), "12");
});

Deno.test("a publication that is cut at any place is finished by the client's next attempt", async () => {
  await using p = await Pair.shared();
  make(p, { "t/large": new Uint8Array(9 * MIB).fill(7) });
  make(p, Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`t/${at}`, "x".repeat(1000)])));
  // In the comparison or the first files, in the large one, and in the reply to the publication.
  const cuts = [{ up: 20_000 }, { up: 5 * MIB }, { down: 12_500 }, { down: 14_000 }];
  for (const [turn, cut] of cuts.entries()) {
    const [direction, at] = Object.entries(cut)[0]!;
    const fault = { direction: direction as "up" | "down", at: at!, kind: "reset" } as const;
    await using proxy = FaultyPeer.start(p.server.port, { faults: [fault] });
    await using client = await connect(proxy.address);
    const published: number[] = [];
    await client.putTree(`${p.cwd}/t`, {
      as: `cut/${turn}`,
      atomic: true,
      onPublished: ({ files }) => void published.push(files),
    });
    assertEquals(published, [51]);
    assertEquals(treeOf(`${p.root}/cut/${turn}`).length, 51);
  }
  assertEquals(stagedIn(p.root), []);
});

Deno.test("what the filter leaves out stays where the connection is cut before all of it was carried over", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a": "1" });
  assertEquals((await publish(p, "t")).code, 0);
  const kept = Array.from({ length: 200 }, (_, at) => `log/${"x".repeat(200)}${at}`);
  Deno.mkdirSync(`${p.root}/t/log`);
  for (const name of kept) Deno.writeTextFileSync(`${p.root}/t/${name}`, "kept");
  // These names are nearly all that the client sends.
  const fault = { direction: "up", at: 20_000, kind: "reset" } as const;
  await using proxy = FaultyPeer.start(p.server.port, { faults: [fault] });
  await using client = await connect(proxy.address);
  const filter = new Filter({ exclude: ["log"] });
  await client.putTree(`${p.cwd}/t`, { atomic: true, overwrite: "different", filter });
  assertEquals(proxy.pending, 0);
  assertEquals(treeOf(`${p.root}/t`), ["a", "log/", ...kept].sort());
});

Deno.test("a directory is not published half-filled where an earlier request to publish it was lost", async () => {
  await using dir = new TempDir();
  for (const name of ["t", "lost", "root"]) Deno.mkdirSync(dir.join(name));
  dir.write("t/a", "1");
  Deno.writeFileSync(dir.join("t/large"), new Uint8Array(4 * MIB).fill(7));
  await using lost = FsStorage.open(dir.join("lost"), { durability: "none" });
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using first = await serve({ storage: lost, listen: "127.0.0.1:0" });
  await using second = await serve({ storage, listen: "127.0.0.1:0" });
  // All files reach the first server, and a part of them the second one.
  const fault = { direction: "up", at: 6 * MIB, kind: "reset" } as const;
  await using proxy = FaultyPeer.start(first.addresses[0]!.port, { faults: [fault] });
  await using client = await connectTo(proxy.address);
  let isLost = false;
  const stop = new AbortController();
  await client.putTree(dir.join("t"), {
    atomic: true,
    signal: stop.signal,
    onPublished({ files }) {
      if (files !== 2) stop.abort(new Error(`${files} of 2 files were published`));
    },
    onFile({ filename }) {
      if (filename !== "t/large" || isLost) return;
      isLost = true;
      proxy.retarget(second.addresses[0]!.port);
    },
  });
  assertEquals([isLost, proxy.pending], [true, 0]);
  assertEquals(namesIn(dir.join("lost")), [".ferry"]);
  assertEquals(treeOf(dir.join("root/t")), ["a", "large"]);
});

Deno.test("a client goes on where the server is killed and started again", async () => {
  await using p = await Pair.start();
  make(p, { "t/large": new Uint8Array(12 * MIB).fill(7), "t/a": "1", "t/b": "2" });
  await using proxy = FaultyPeer.start(p.server.port);
  await using client = await connect(proxy.address, { retries: 20 });
  const done: string[] = [];
  let killed: Promise<void> | undefined;
  const killOnce = async () => {
    await p.server.stop("SIGKILL");
    p.server = await Ferryd.start(p.root);
    proxy.retarget(p.server.port);
  };
  await client.putTree(`${p.cwd}/t`, {
    atomic: true,
    onFile: ({ filename }) => void done.push(filename),
    onProgress: ({ bytes }) => {
      if (bytes > 5 * MIB) killed ??= killOnce();
    },
  });
  await killed;
  assert(killed, "the server was not killed");
  assertEquals(done.sort(), ["t/a", "t/b", "t/large"]);
  assertEquals(treeOf(`${p.root}/t`), ["a", "b", "large"]);
  assertEquals(stagedIn(p.root), []);
});

Deno.test("replacing a directory needs the scope delete, and that is told before anything is sent", async () => {
  await using p = await Pair.start(["--anonymous", "read,write"]);
  make(p, { "t/a": "1" });
  assertEquals((await publish(p, "t")).code, 0);
  const { code, of } = await publish(p, "t", "--overwrite", "always");
  assertEquals([code, of("error").length, of("transferred")], [3, 1, []]);
  assertStringIncludes(of("error")[0].message, "delete");
});

Deno.test("--atomic is for directories, and not for what would be lost or undone in one", async () => {
  await using p = await Pair.shared();
  make(p, { "t/a": "1", "f": "f" });
  const refusals: [args: string[], reason: string][] = [
    [["f"], "--atomic is for directories, and it is a file"],
    [["t", "f"], "--atomic is for directories, and it is a file"],
    [["t", "--links"], "symbolic links are not kept in it"],
    [["t", "--backup", "old"], "no backups are kept of what it replaces"],
    [["t", "--delete", "--max-delete", "1"], "gone with it in any case"],
    [["t", "--delete", "--force"], "gone with it in any case"],
    [["t", "--watch"], "--watch does not go with --atomic"],
  ];
  for (const [args, reason] of refusals) {
    const { code, stdout, stderr } = await p.run("put", ...args, "--atomic");
    assertEquals([code, stdout], [2, ""], `${args}`);
    assertStringIncludes(stderr, reason);
  }
  assertEquals(namesIn(p.root).filter((name) => name !== ".ferry"), []);
});

Deno.test("what cannot be published as one is refused before anything is sent", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("t"));
  dir.write("t/a", "1");
  const options = { atomic: true, onFile: () => assert(false, "a file was sent") } as const;
  {
    await using server = await serve({ storage: new MemoryStorage(), listen: "127.0.0.1:0" });
    await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
    const error = await assertCode("denied", () => client.putTree(dir.join("t"), options));
    assertStringIncludes(String(error), "a directory cannot be renamed");
  }
  Deno.mkdirSync(dir.join("root"));
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  await using client = await connectTo(`127.0.0.1:${server.addresses[0]!.port}`);
  await assertCode("bad_name", () => client.putTree(dir.join("t"), { ...options, as: "" }));
  dir.write("root/f", "x");
  await assertCode("exists", () => client.putTree(dir.join("t"), { ...options, as: "f" }));
  await assertCode("not_a_file", () => client.putTree(dir.join("t"), { ...options, as: "f/g" }));
});

testWithMount("a full disk keeps the old directory, and the next attempt publishes", async () => {
  await using disk = new Mount("size=12m");
  await using p = await Pair.start([], disk.path);
  make(p, { "t/a": "old" });
  assertEquals((await publish(p, "t")).code, 0);
  make(p, { "t/a": "new", "t/large": "x", "t/larger": "x" });
  for (const name of ["large", "larger"]) {
    Deno.writeFileSync(`${p.cwd}/t/${name}`, new Uint8Array());
  }
  await using client = await connectTo(p.server.address, { retries: 0 });
  await using big = new TempDir();
  Deno.mkdirSync(big.join("t"));
  big.write("t/a", "new");
  for (const name of ["b", "c"]) Deno.writeFileSync(big.join(`t/${name}`), new Uint8Array(7 * MIB));
  const put = () => client.putTree(big.join("t"), { atomic: true, overwrite: "different" });
  await assertCode("no_space", put);
  assertEquals(Deno.readTextFileSync(`${p.root}/t/a`), "old");
  Deno.removeSync(big.join("t/c"));
  await put();
  assertEquals(treeOf(`${p.root}/t`), ["a", "b"]);
});

testWithMount(
  "a directory on another file system is published there, and a mounted one is not replaced",
  async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root/mnt"), { recursive: true });
    await using _disk = new Mount("size=4m", dir.join("root/mnt"));
    await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
    await using server = await serve({ storage, listen: "127.0.0.1:0" });
    await using client = await connectTo(`127.0.0.1:${server.addresses[0]!.port}`);
    Deno.mkdirSync(dir.join("t"));
    dir.write("t/a", "1");
    const put = (as: string) =>
      client.putTree(dir.join("t"), { as, atomic: true, overwrite: "different" });
    await put("mnt/t");
    await put("mnt/t");
    assertEquals(treeOf(dir.join("root/mnt/t")), ["a"]);
    await assertCode("denied", () => put("mnt"));
    Deno.writeTextFileSync(dir.join("root/mnt/kept"), "kept");
    assertEquals(Deno.readTextFileSync(dir.join("root/mnt/kept")), "kept");
  },
);
