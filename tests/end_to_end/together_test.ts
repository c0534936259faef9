import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { ferry, Ferryd, ferryd, stagedIn, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { RawPeer } from "../support/raw_peer.ts";

/** Spreading connections over several processes is a feature of Linux. */
const ignore = Deno.build.os !== "linux";

/** How much is sent of an upload before it is cut, in bytes. */
const SENT = 12 * MIB;

/** Two servers of one directory at different ports, so that a test can tell them apart. */
class Two implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root: string = this.dir.join("root");
  readonly cwd: string = this.dir.join("cwd");
  one!: Ferryd;
  other!: Ferryd;

  static async start(): Promise<Two> {
    const two = new Two();
    for (const path of [two.root, two.cwd]) Deno.mkdirSync(path);
    two.one = await two.another();
    two.other = await two.another();
    return two;
  }

  another(...args: string[]): Promise<Ferryd> {
    return Ferryd.start(this.root, ["--together", ...args]);
  }

  run(server: Ferryd, ...args: string[]) {
    return ferry(args, { cwd: this.cwd, server: server.address });
  }

  /** What a server says of the partial uploads. */
  async parts(server: Ferryd): Promise<{ filename: string; active: boolean }[]> {
    const { stdout } = await this.run(server, "ls", "--partial", "--json");
    return stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line))
      .map(({ filename, active }) => ({ filename, active }));
  }

  /** Begins an upload of a file, of which some bytes come. */
  async begin(server: Ferryd, filename: string, bytes: Uint8Array): Promise<RawPeer> {
    const peer = await RawPeer.connect(server.port);
    const put = { op: "put", filename, md5: null, total_size: bytes.length };
    await peer.send(put, bytes.subarray(0, SENT));
    return peer;
  }

  /** Waits until an upload is recorded, and so seen by other processes. */
  async recorded(): Promise<void> {
    using watcher = Deno.watchFs(`${this.root}/.ferry/staging`, { recursive: true });
    const isRecorded = () => stagedIn(this.root).some((name) => name.endsWith(".json"));
    if (isRecorded()) return;
    for await (const _ of watcher) if (isRecorded()) return;
  }

  /** An upload that was cut at a server. */
  async cut(server: Ferryd, filename: string, bytes: Uint8Array): Promise<void> {
    using peer = await this.begin(server, filename, bytes);
    await peer.end();
    assertEquals(await peer.code(), "closed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using _dir = this.dir;
    await using _one = this.one;
    await using _other = this.other;
  }
}

Deno.test({
  name: "ferryds with --together listen on one port, and the others go on when one ends",
  ignore,
  async fn() {
    await using two = await Two.start();
    await two.other.stop();
    const listen = ["--listen", two.one.address, "--verbose"];
    two.other = await two.another(...listen);
    // The system decides by the port of the client which of them gets a connection.
    for (let i = 0; i < 64; i++) {
      using peer = await RawPeer.connect(two.one.port);
      await peer.ask({ op: "ping" });
    }
    const { stderr } = await two.other.stop();
    const ofOther = stderr.split("\n").filter((line) => / connected/.test(line)).length;
    assert(ofOther > 0 && ofOther < 64, `${ofOther} of 64 connections for one of two`);
    for (let i = 0; i < 8; i++) {
      using peer = await RawPeer.connect(two.one.port);
      assertEquals(await peer.ask({ op: "ping" }), "ok");
    }
  },
});

Deno.test({
  name: "an upload that was cut at one of several ferryds is resumed at another one",
  ignore,
  async fn() {
    await using two = await Two.start();
    const bytes = randomBytes(18 * MIB + 5);
    two.dir.write("cwd/f", bytes);
    await two.cut(two.one, "f", bytes);
    const seen = [{ filename: "f", active: false }];
    assertEquals([await two.parts(two.one), await two.parts(two.other)], [seen, seen]);
    const { code, stdout, stderr } = await two.run(two.other, "put", "f", "--json");
    const event = JSON.parse(stdout);
    assertEquals([code, event.md5], [0, md5(bytes)], stderr);
    assert(event.resumed_from > 0, "begun anew");
    assertEquals(md5(Deno.readFileSync(`${two.root}/f`)), md5(bytes));
    assertEquals([await two.parts(two.one), await two.parts(two.other)], [[], []]);
    assertEquals(stagedIn(two.root), []);
  },
});

Deno.test({
  name: "an upload whose client has stalled at one of several ferryds goes on at another one",
  ignore,
  async fn() {
    await using two = await Two.start();
    const bytes = randomBytes(18 * MIB);
    two.dir.write("cwd/f", bytes);
    using stalled = await two.begin(two.one, "f", bytes);
    await two.recorded();
    assertEquals(await two.parts(two.other), [{ filename: "f", active: true }]);
    const discarded = await two.run(two.other, "rm", "--partial", "f");
    assertEquals(discarded.code === 0, false, discarded.stdout);
    const { code, stdout, stderr } = await two.run(two.other, "put", "f", "--json");
    const event = JSON.parse(stdout.trim().split("\n").at(-1)!);
    assertEquals([code, event.md5], [0, md5(bytes)], stderr);
    assert(event.resumed_from > 0, "begun anew");
    // What the stalled client sends at last does no harm.
    await stalled.send(bytes.subarray(SENT));
    assertEquals(await stalled.code(), "busy");
    assertEquals(md5(Deno.readFileSync(`${two.root}/f`)), md5(bytes));
    assertEquals(stagedIn(two.root), []);
  },
});

Deno.test({
  name: "a ferryd that is killed leaves its partial uploads to the others",
  ignore,
  async fn() {
    await using two = await Two.start();
    const bytes = randomBytes(18 * MIB);
    two.dir.write("cwd/f", bytes);
    using _peer = await two.begin(two.one, "f", bytes);
    await two.recorded();
    await two.one.stop("SIGKILL");
    two.one = await two.another();
    for (const server of [two.one, two.other]) {
      assertEquals(await two.parts(server), [{ filename: "f", active: false }]);
    }
    const { code, stdout, stderr } = await two.run(two.other, "put", "f", "--json");
    assertEquals([code, JSON.parse(stdout).resumed_from > 0], [0, true], stderr);
    assertEquals(stagedIn(two.root), []);
  },
});

Deno.test({
  name: "of several ferryds that get a file of the same name at once, one stores it",
  ignore,
  async fn() {
    await using two = await Two.start();
    const names = Array.from({ length: 20 }, (_, i) => `f${i}`);
    for (const who of ["one", "other"]) {
      Deno.mkdirSync(`${two.cwd}/${who}`);
      for (const name of names) two.dir.write(`cwd/${who}/${name}`, `${who} ${name}`);
    }
    const put = (who: "one" | "other") =>
      two.run(two[who], "put", `${who}/`, "--as", "d", "--no-delta", "--json");
    const outcomes = await Promise.all([put("one"), put("other")]);
    const done = outcomes.map(({ stdout }) =>
      stdout.split("\n").filter((line) => line.includes('"event":"done"')).length
    );
    const stored = names.map((name) => Deno.readTextFileSync(`${two.root}/d/${name}`));
    for (const [i, text] of stored.entries()) assertMatch(text, new RegExp(`^(one|other) f${i}$`));
    const ofOne = stored.filter((text) => text.startsWith("one")).length;
    assertEquals(done, [ofOne, names.length - ofOne], JSON.stringify(outcomes));
    assertEquals(stagedIn(two.root), []);
  },
});

Deno.test({
  name:
    "what one of several ferryds moves and removes is so for the others, and what they know of it",
  ignore,
  async fn() {
    await using two = await Two.start();
    two.dir.write("cwd/f", randomBytes(MIB));
    assertEquals((await two.run(two.one, "put", "f")).code, 0);
    assertEquals((await two.run(two.other, "mv", "f", "g")).code, 0);
    assertEquals((await two.run(two.one, "get", "f", "--out", "back")).code, 4);
    assertEquals((await two.run(two.one, "get", "g", "--out", "back")).code, 0);
    assertEquals((await two.run(two.one, "rm", "g")).code, 0);
    assertEquals((await two.run(two.other, "ls")).stdout, "");
  },
});

Deno.test({
  name: "ferryd --together serves no directory that another one has for itself, and the reverse",
  ignore,
  async fn() {
    await using two = await Two.start();
    const alone = ["--root", two.root, "--listen", "127.0.0.1:0"];
    const beside = await ferryd(alone);
    assertEquals(beside.code === 0, false);
    assertStringIncludes(beside.stderr, "another ferryd serves it");
    await two.one.stop();
    await two.other.stop();
    await using _alone = await Ferryd.start(two.root);
    const together = await ferryd([...alone, "--together"]);
    assertEquals(together.code === 0, false);
    assertStringIncludes(together.stderr, "another ferryd serves it without --together");
    const quota = await ferryd([...alone, "--together", "--quota", "1GiB"]);
    assertEquals(quota.code, 2);
    assertStringIncludes(quota.stderr, "has no quota");
  },
});

Deno.test({
  name: "ferryds with --together publish no directory as one, and say so",
  ignore,
  async fn() {
    await using two = await Two.start();
    Deno.mkdirSync(`${two.cwd}/d`);
    two.dir.write("cwd/d/f", "x");
    const { code, stderr } = await two.run(two.one, "put", "d", "--atomic");
    assertEquals(code === 0, false);
    assertStringIncludes(stderr, "no directory can be published as one");
  },
});
