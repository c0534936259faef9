/**
 * Directories that are followed: what changes in them is uploaded.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { connect, FsStorage, serve, type Server, type WatchTreeOptions } from "../../mod.ts";
import { assertCode } from "../support/assertions.ts";
import { MIB } from "../support/bytes.ts";
import { Pair } from "../support/pair.ts";
import { spawnFerry, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";

type Event = Record<string, unknown>;

/** A running `ferry put --watch --json`. */
class Watch implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly #events: AsyncIterator<Event>;
  readonly stderr: Promise<string>;

  constructor(p: Pair, ...args: string[]) {
    const { address } = p.server;
    const options = { cwd: p.cwd, server: address };
    this.child = spawnFerry(["put", "--watch", "--json", ...args], options);
    this.stderr = new Response(this.child.stderr).text();
    const lines = this.child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    this.#events = (async function* () {
      for await (const line of lines) yield JSON.parse(line) as Event;
    })();
  }

  /** The events up to one of that kind, which is the last one. */
  async until(event: string): Promise<Event[]> {
    const events: Event[] = [];
    for (;;) {
      const { value, done } = await this.#events.next();
      if (done) throw new Error(`it has ended: ${await this.stderr}`);
      events.push(value);
      if (value.event === event) return events;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    while (!(await this.#events.next()).done);
    await this.child.status;
    await this.stderr;
  }
}

/** The names of the files in events. */
function filesOf(events: readonly Event[], kind = "done"): unknown[] {
  return events.filter(({ event }) => event === kind).map(({ filename }) => filename).sort();
}

Deno.test("ferry put --watch uploads what changes, deletes what is deleted, and ends with Ctrl-C", async () => {
  await using p = await Pair.shared();
  Deno.mkdirSync(`${p.cwd}/site/sub`, { recursive: true });
  p.write("site/a", "a");
  p.write("site/b", "b");
  await using watch = new Watch(p, "site", "--delete");
  const begun = await watch.until("watching");
  assertEquals(filesOf(begun), ["site/a", "site/b"]);
  assertEquals(begun.find(({ event }) => event === "pass")?.files, 2);
  assertEquals(begun.at(-1), { event: "watching", op: "put", path: "site", reported: true });

  p.write("site/a", "another");
  p.write("site/sub/c", "c");
  // Only once both are there, since a pass may begin between the two.
  const changed: unknown[] = [];
  while (changed.length < 2) changed.push(...filesOf(await watch.until("pass")));
  assertEquals(changed.sort(), ["site/a", "site/sub/c"]);
  assertEquals(Deno.readTextFileSync(`${p.root}/site/a`), "another");

  Deno.removeSync(`${p.cwd}/site/sub`, { recursive: true });
  const gone = filesOf(await watch.until("pass"), "deleted");
  while (gone.length < 2) gone.push(...filesOf(await watch.until("pass"), "deleted"));
  assertEquals(gone.sort(), ["site/sub", "site/sub/c"]);
  assertEquals([...Deno.readDirSync(`${p.root}/site`)].map(({ name }) => name).sort(), ["a", "b"]);

  Deno.mkdirSync(`${p.cwd}/site/new/deep`, { recursive: true });
  p.write("site/new/deep/d", "d");
  assertEquals(filesOf(await watch.until("pass")), ["site/new/deep/d"]);
  watch.child.kill("SIGINT");
  assertEquals((await watch.child.status).code, 130);
  assertStringIncludes(await watch.stderr, "interrupted");
});

Deno.test("ferry put --watch follows one directory, and nothing else", async () => {
  await using p = await Pair.shared();
  p.write("file", "x");
  Deno.mkdirSync(`${p.cwd}/d`);
  for (const args of [["file"], ["d", "file"], ["d", "--dry-run"]]) {
    const { code, stderr } = await p.run("put", "--watch", ...args);
    assertEquals(code, 2, stderr);
  }
});

/** Watches a directory of this process, and waits for what it tells. */
function watching(address: string, root: string, options: WatchTreeOptions = {}) {
  const told: string[] = [];
  let wake = () => {};
  const tell = (what: string) => {
    told.push(what);
    wake();
  };
  const stop = new AbortController();
  const running = (async () => {
    await using client = await connect(address, { retries: 0 });
    await client.watchTree(root, {
      as: "t",
      ...options,
      signal: stop.signal,
      onDelete: ({ filename }) => tell(`deleted ${filename}`),
      onFile: ({ filename, skipped }) => tell(`${skipped ? "has" : "got"} ${filename}`),
      onError: (filename, { code }) => tell(`${code} ${filename}`),
      onWatching: () => tell("watching"),
      onWaiting: ({ code }) => tell(`waiting ${code}`),
      onPass: () => tell("pass"),
    });
  })();
  running.catch(() => wake());
  return {
    told,
    running,
    /** Waits until something was told, so often. */
    async until(what: string, times = 1) {
      while (told.filter((each) => each.startsWith(what)).length < times) {
        await Promise.race([new Promise<void>((resolve) => wake = resolve), running]);
      }
    },
    stop: () => stop.abort(new DOMException("enough", "AbortError")),
  };
}

Deno.test("Client.watchTree() goes on when the server is back, and tells once that it was away", async () => {
  await using dir = new TempDir();
  for (const name of ["root", "t"]) Deno.mkdirSync(dir.join(name));
  dir.write("t/a", "a");
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  let server: Server = await serve({ storage, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const watch = watching(address, dir.join("t"));
  await watch.until("watching");
  await server.close({ drainTimeout: 0 });
  dir.write("t/b", "b");
  await watch.until("waiting");
  server = await serve({ storage, listen: address });
  try {
    await watch.until("got t/b");
    assertEquals(watch.told.filter((each) => each.startsWith("waiting")).length, 1);
    assertEquals(await Deno.readTextFile(dir.join("root/t/b")), "b");
    watch.stop();
    const ended = await watch.running.catch((error) => error);
    assertEquals(ended.message, "enough");
  } finally {
    await server.close({ drainTimeout: 0 });
  }
});

Deno.test("Client.watchTree() tells a failure once, and survives that its directory goes and comes", async () => {
  await using dir = new TempDir();
  for (const name of ["root/t/a", "t"]) Deno.mkdirSync(dir.join(name), { recursive: true });
  dir.write("t/a", "a file, and a directory on the server");
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const watch = watching(address, dir.join("t"), { rescan: 50 });
  await watch.until("watching");
  await watch.until("pass", 3);
  assertEquals(watch.told.filter((each) => each === "not_a_file t/a").length, 1);
  Deno.removeSync(dir.join("t"), { recursive: true });
  await watch.until("waiting not_found");
  Deno.mkdirSync(dir.join("t"));
  dir.write("t/b", "b");
  await watch.until("got t/b");
  watch.stop();
  await watch.running.catch(() => {});
});

Deno.test("Client.watchTree() follows the directory that has taken the place of the first one", async () => {
  await using dir = new TempDir();
  for (const name of ["root", "t", "next"]) Deno.mkdirSync(dir.join(name));
  dir.write("t/a", "a");
  dir.write("next/b", "b");
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  // Nothing is found by comparing in the time of this test.
  const watch = watching(address, dir.join("t"), { rescan: 3_600_000, delete: true });
  await watch.until("watching");
  Deno.renameSync(dir.join("t"), dir.join("before"));
  Deno.renameSync(dir.join("next"), dir.join("t"));
  await watch.until("got t/b");
  await watch.until("deleted t/a");
  await watch.until("pass", 2);
  dir.write("t/c", "c");
  const late = setTimeout(watch.stop, 30_000);
  await watch.until("got t/c");
  clearTimeout(late);
  watch.stop();
  await watch.running.catch(() => {});
});

Deno.test("Client.watchTree() finds by comparing what the system reported no event for", async () => {
  await using dir = new TempDir();
  for (const name of ["root", "t/d"]) Deno.mkdirSync(dir.join(name), { recursive: true });
  dir.write("t/a", "a");
  dir.write("t/gone", "");
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  Deno.mkdirSync(dir.join("quiet"));
  const { watchFs } = Deno;
  // It watches something in which nothing happens.
  Deno.watchFs = () => watchFs(dir.join("quiet"));
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const watch = watching(address, dir.join("t"), { rescan: 20, delete: true });
  await watch.until("watching").finally(() => Deno.watchFs = watchFs);
  dir.write("t/d/b", "b");
  dir.write("t/a", "another");
  Deno.removeSync(dir.join("t/gone"));
  await watch.until("got t/d/b");
  await watch.until("got t/a", 2);
  await watch.until("deleted t/gone");
  assertEquals(Deno.readTextFileSync(dir.join("root/t/a")), "another");
  watch.stop();
  await watch.running.catch(() => {});
});

Deno.test("Client.watchTree() sends again what changes while it is sent", async () => {
  await using dir = new TempDir();
  for (const name of ["root", "t"]) Deno.mkdirSync(dir.join(name));
  dir.write("t/a", randomBytes(12 * MIB));
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  let changes = 0;
  const watch = watching(address, dir.join("t"), {
    onProgress({ bytes, total }) {
      if (changes > 0 || bytes === 0 || bytes === total) return;
      changes++;
      dir.write("t/a", "another");
    },
  });
  await watch.until("got t/a");
  assertEquals(changes, 1);
  // Half of the old content and half of the new one were never published.
  assertEquals(watch.told.filter((each) => each.endsWith(" t/a")), ["io t/a", "got t/a"]);
  assertEquals(Deno.readTextFileSync(dir.join("root/t/a")), "another");
  watch.stop();
  await watch.running.catch(() => {});
});

Deno.test("Client.watchTree() fails where the first pass can never work", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  await using storage = FsStorage.open(dir.join("root"), { durability: "none" });
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
  await assertCode("not_found", () => client.watchTree(dir.join("missing")));
  await assertCode("usage", () => client.watchTree(dir.path, { rescan: 0 }));
  const atomic: WatchTreeOptions & { atomic: boolean } = { atomic: true };
  await assertCode("usage", () => client.watchTree(dir.path, atomic));
});
