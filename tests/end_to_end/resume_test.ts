import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { type Direction, FaultyPeer } from "../support/faulty_peer.ts";
import {
  ferry,
  Ferryd,
  type Outcome,
  outcome,
  spawnFerry,
  stagedIn,
  unrecorded,
} from "../support/programs.ts";
import { frame } from "../support/raw_peer.ts";
import { Pair } from "../support/pair.ts";
import { randomBytes } from "../support/random_file.ts";
import { md5, MIB } from "../support/bytes.ts";

/** The most bytes that may be sent again after a cut. */
const LOST_BYTES = 8 * MIB;

/** The partial uploads that the server keeps. */
async function partsOf(p: Pair): Promise<Record<string, unknown>[]> {
  const { stdout } = await p.run("ls", "--partial", "--json");
  return stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Waits until the server has recorded how much of an upload it has: what has passed may still be in the system. */
async function untilRecorded({ root }: Pair): Promise<void> {
  const isRecorded = () =>
    stagedIn(root).some((name) => {
      if (!name.endsWith(".json")) return false;
      const { prefix } = JSON.parse(Deno.readTextFileSync(`${root}/.ferry/staging/${name}`));
      return prefix.size > 0;
    });
  while (!isRecorded()) await delay(10);
}

/** Sends the first `count` bytes of an upload over a raw connection, and closes it. */
async function sendPart(p: Pair, filename: string, bytes: Uint8Array, count: number) {
  using peer = await p.connect();
  const put = { op: "put", filename, md5: null, total_size: bytes.length };
  await peer.send(put, bytes.subarray(0, count));
  await peer.end();
  assertEquals(await peer.code(), "closed");
}

Deno.test("ferry put goes on where a client that left had stopped", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(18 * MIB + 5);
  p.dir.write("cwd/f", bytes);
  await sendPart(p, "f", bytes, 12 * MIB + 1000);
  const [part] = await partsOf(p);
  assertEquals([part?.filename, part?.total_size, part?.active], ["f", bytes.length, false]);
  const put = await p.run("put", "f", "--json");
  const event = JSON.parse(put.stdout);
  assertEquals([put.code, event.md5], [0, md5(bytes)]);
  assert(event.resumed_from >= 12 * MIB + 1000 - LOST_BYTES, `from ${event.resumed_from}`);
  assertEquals(event.bytes_sent, bytes.length - event.resumed_from);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(bytes));
  assertEquals(await partsOf(p), []);
  assertEquals(stagedIn(p.root), []);
});

Deno.test("ferry put goes on by itself when ferryd is killed and comes back", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(18 * MIB);
  p.dir.write("cwd/f", bytes);
  // The proxy stalls, so that the server is killed in the middle of the transfer.
  await using slow = stalling(p, "up", 14 * MIB);
  const child = spawnFerry(["put", "f", "--json"], { cwd: p.cwd, server: slow.address });
  await slow.reached;
  await untilRecorded(p);
  await p.server.stop("SIGKILL");
  p.server = await Ferryd.start(p.root);
  slow.retarget(p.server.port);
  const { code, stdout } = await outcome(child);
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(events.at(0).event, "retry");
  const done = events.at(-1);
  assertEquals([code, done.event, done.md5], [0, "done", md5(bytes)]);
  assert(done.resumed_from > 0, "nothing was gone on with");
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(bytes));
});

Deno.test("ferry get goes on behind a part that a killed one left", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(22 * MIB, 3);
  Deno.writeFileSync(`${p.root}/f`, bytes);
  await cutGet(p, "SIGKILL");
  const get = await p.run("get", "f", "--json");
  const event = JSON.parse(get.stdout);
  assertEquals([get.code, event.md5], [0, md5(bytes)]);
  assert(event.resumed_from >= 18 * MIB - 2 * LOST_BYTES, `from ${event.resumed_from}`);
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/f`)), md5(bytes));
  assertEquals([...Deno.readDirSync(p.cwd)].map(({ name }) => name), ["f"]);
});

Deno.test("ferry get keeps its part where the connection is lost before the reply", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(22 * MIB, 3);
  Deno.writeFileSync(`${p.root}/f`, bytes);
  await cutGet(p, "SIGKILL");
  // The handshake and the request pass, but not the reply to the request.
  const faults = [{ kind: "close", direction: "up", at: 60 } as const];
  await using cutting = FaultyPeer.start(p.server.port, { faults });
  const options = { cwd: p.cwd, server: cutting.address };
  assertEquals((await ferry(["get", "f", "--retries", "0"], options)).code, 6);
  assertEquals(cutting.pending, 0);
  const event = JSON.parse((await p.run("get", "f", "--json")).stdout);
  assertEquals(event.md5, md5(bytes));
  assert(event.resumed_from >= 18 * MIB - 2 * LOST_BYTES, `from ${event.resumed_from}`);
});

Deno.test("ferry get goes on with the right bytes only: a file that changed is begun anew", async () => {
  await using p = await Pair.start();
  Deno.writeFileSync(`${p.root}/f`, randomBytes(22 * MIB, 3));
  const { code, stderr } = await cutGet(p, "SIGINT");
  assertEquals([code, stderr], [
    130,
    "ferry: interrupted; the same command goes on where it stopped\n",
  ]);
  assert([...Deno.readDirSync(p.cwd)].some(({ name }) => name.endsWith(".json")), "no record");
  const bytes = randomBytes(22 * MIB, 4);
  Deno.writeFileSync(`${p.root}/f`, bytes);
  const get = await p.run("get", "f", "--json");
  const event = JSON.parse(get.stdout);
  assertEquals([get.code, event.md5, event.resumed_from], [0, md5(bytes), 0]);
  assertEquals([...Deno.readDirSync(p.cwd)].map(({ name }) => name), ["f"]);
});

Deno.test("ferry put of a file that changed since the cut begins anew", async () => {
  await using p = await Pair.start();
  await sendPart(p, "f", randomBytes(16 * MIB, 1), 10 * MIB);
  const bytes = randomBytes(16 * MIB, 2);
  p.dir.write("cwd/f", bytes);
  const put = await p.run("put", "f", "--json");
  const event = JSON.parse(put.stdout);
  assertEquals([put.code, event.md5, event.resumed_from], [0, md5(bytes), 0]);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(bytes));
});

Deno.test("ferry put --no-resume begins anew", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(10 * MIB);
  await sendPart(p, "f", bytes, 7 * MIB);
  p.dir.write("cwd/f", bytes);
  const put = await p.run("put", "f", "--no-resume", "--json");
  assertEquals([put.code, JSON.parse(put.stdout).resumed_from], [0, 0]);
});

Deno.test("ferryd takes a part over from a connection that fell silent", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(18 * MIB);
  p.dir.write("cwd/f", bytes);
  using silent = await p.connect();
  const put = { op: "put", filename: "f", md5: null, total_size: bytes.length };
  await silent.send(put, bytes.subarray(0, 12 * MIB));
  while ((await partsOf(p))[0]?.received !== 12 * MIB);
  const again = await p.run("put", "f", "--json");
  const event = JSON.parse(again.stdout);
  assertEquals([again.code, event.md5], [0, md5(bytes)]);
  assert(event.resumed_from >= 4 * MIB, `from ${event.resumed_from}`);
});

Deno.test("ferryd gives two uploads of one name at once a part each", async () => {
  await using p = await Pair.start();
  const [one, two] = [randomBytes(10 * MIB, 1), randomBytes(10 * MIB, 2)];
  using first = await p.connect();
  using second = await p.connect();
  const put = { op: "put", filename: "f", md5: null, total_size: one.length, overwrite: "always" };
  await first.send(put, one.subarray(0, 5 * MIB));
  await second.send(put, two.subarray(0, 5 * MIB));
  const end = (bytes: Uint8Array) => frame({ end: true, md5: md5(bytes), size: bytes.length });
  await second.send(two.subarray(5 * MIB), end(two));
  assertEquals(await second.code(), "ok");
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(two));
  await first.send(one.subarray(5 * MIB), end(one));
  assertEquals(await first.code(), "ok");
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(one));
  assertEquals(stagedIn(p.root), []);
});

Deno.test("ferryd offers a part only to go on from, and only to the connection that was offered it", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(10 * MIB);
  await sendPart(p, "f", bytes, 6 * MIB);
  using peer = await p.connect();
  const offer = { op: "put", filename: "f", md5: null, offer: true, size: bytes.length };
  await peer.send(offer);
  const { header } = (await peer.receive())!;
  const offset = Number(header.offset);
  assertEquals(header.prefix_md5, md5(bytes.subarray(0, offset)));
  using other = await p.connect();
  const rest = { op: "put", filename: "f", md5: md5(bytes), size: bytes.length, offset };
  assertEquals(await other.ask({ ...rest, total_size: bytes.length - offset }), "busy");
  await peer.send({ ...rest, total_size: bytes.length - offset }, bytes.subarray(offset));
  assertEquals(await peer.code(), "ok");
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(bytes));
});

Deno.test("ferryd keeps no part of what was damaged, and none of what is small", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(10 * MIB);
  using peer = await p.connect();
  const put = { op: "put", filename: "f", md5: md5(randomBytes(1)), total_size: bytes.length };
  assertEquals(await peer.ask(put, bytes), "checksum_mismatch");
  await sendPart(p, "small", randomBytes(8 * MIB), 7 * MIB);
  assertEquals(await partsOf(p), []);
  assertEquals(stagedIn(p.root), []);
});

Deno.test("ferryd does not believe a part whose record or bytes were damaged", async (t) => {
  const bytes = randomBytes(10 * MIB);
  const damages: Record<string, (part: string, record: string) => void> = {
    "a record that is cut": (_part, record) => Deno.truncateSync(record, 10),
    "a record without its part": (part) => Deno.removeSync(part),
    "a part that is shorter than its record says": (part) => Deno.truncateSync(part, 1000),
    "a part of another run of the system, with other bytes": (part, record) => {
      const stored = JSON.parse(Deno.readTextFileSync(record));
      Deno.writeTextFileSync(record, JSON.stringify({ ...stored, boot: 0 }));
      using file = Deno.openSync(part, { write: true });
      file.writeSync(new Uint8Array([1, 2, 3]));
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    await t.step(name, async () => {
      await using p = await Pair.start();
      p.dir.write("cwd/f", bytes);
      await sendPart(p, "f", bytes, 6 * MIB);
      await p.server.stop();
      const staging = `${p.root}/.ferry/staging`;
      const names = stagedIn(p.root).map((name) => `${staging}/${name}`);
      damage(
        names.find((path) => path.endsWith(".part"))!,
        names.find((path) => path.endsWith(".json"))!,
      );
      p.server = await Ferryd.start(p.root);
      const put = await p.run("put", "f", "--json");
      const event = JSON.parse(put.stdout);
      assertEquals([put.code, event.md5, event.resumed_from], [0, md5(bytes), 0]);
      assertEquals(stagedIn(p.root), []);
    });
  }
});

Deno.test("ferryd goes on with a part of another run of the system after reading it", async () => {
  await using p = await Pair.start();
  const bytes = randomBytes(10 * MIB);
  p.dir.write("cwd/f", bytes);
  await sendPart(p, "f", bytes, 6 * MIB);
  await p.server.stop();
  const staging = `${p.root}/.ferry/staging`;
  const record = stagedIn(p.root).find((name) => name.endsWith(".json"))!;
  const stored = JSON.parse(Deno.readTextFileSync(`${staging}/${record}`));
  Deno.writeTextFileSync(`${staging}/${record}`, JSON.stringify({ ...stored, boot: 0 }));
  p.server = await Ferryd.start(p.root);
  const event = JSON.parse((await p.run("put", "f", "--json")).stdout);
  assertEquals([event.md5, event.resumed_from], [md5(bytes), 6 * MIB]);
});

Deno.test("ferryd --partial-ttl throws away parts that nobody went on with", async () => {
  await using p = await Pair.start();
  await sendPart(p, "f", randomBytes(10 * MIB), 6 * MIB);
  assertEquals((await partsOf(p)).length, 1);
  assertMatch((await p.run("ls", "--partial")).stdout, /^ 60% +6291456 of 10485760 .* cut +f\n$/);
  await p.server.stop();
  p.server = await Ferryd.start(p.root, ["--partial-ttl", "0s"]);
  assertEquals(await partsOf(p), []);
  assertEquals(unrecorded(`${p.root}/.ferry/staging`), []);
});

Deno.test("ferry gives up after --retries tries without a byte that moved", async () => {
  await using p = await Pair.start();
  p.dir.write("cwd/f", randomBytes(10 * MIB));
  await using slow = stalling(p, "up", MIB);
  const child = spawnFerry(["put", "f", "--retries", "1"], { cwd: p.cwd, server: slow.address });
  await slow.reached;
  await p.server.stop("SIGKILL");
  await slow[Symbol.asyncDispose]();
  const { code, stderr } = await outcome(child);
  assertEquals(code, 6);
  assertMatch(stderr, /; trying again in 0\.\d s \(1 of 1\)\nferry: Cannot /);
});

/** Downloads `f` until 18 MiB have arrived, and ends the client with a signal. */
async function cutGet(p: Pair, signal: Deno.Signal): Promise<Outcome> {
  await using slow = stalling(p, "down", 18 * MIB);
  const child = spawnFerry(["get", "f"], { cwd: p.cwd, server: slow.address });
  await slow.reached;
  child.kill(signal);
  return await outcome(child);
}

/** A proxy that stalls in one direction after so many bytes, until it gets another target. */
function stalling(p: Pair, direction: Direction, at: number): FaultyPeer {
  return FaultyPeer.start(p.server.port, { faults: [{ kind: "stall", direction, at }] });
}
