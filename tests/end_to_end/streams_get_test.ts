import { assert, assertEquals, assertMatch } from "@std/assert";
import { partialPathOf } from "../../client/transfer/partial_downloads.ts";
import { connect } from "../../mod.ts";
import { PrefixDigest } from "../../lib/digest/prefix_digest.ts";
import { writeRecord } from "../../lib/files/partial_file.ts";
import type { StoredPiece } from "../../lib/files/stored_pieces.ts";
import { md5, MIB, text } from "../support/bytes.ts";
import { DIGESTS } from "../support/digests.ts";
import { namesIn } from "../support/directories.ts";
import { type Fault, FaultyPeer } from "../support/faulty_peer.ts";
import { Pair } from "../support/pair.ts";
import { ferry, Ferryd, type Outcome, outcome, spawnFerry, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { RUNTIME } from "../support/runtime.ts";
import { MINE } from "../support/tls_servers.ts";
import { token, TokenServer } from "../support/token_server.ts";

/** Large enough for several streams, and no multiple of any size of a piece. */
const SIZE = 40 * MIB + 12345;
const BYTES = randomBytes(SIZE, 7);
const GET = ["get", "f", "--streams", "3", "--json"];

/** Serves {@linkcode BYTES} as `f`. */
async function served(args: string[] = []): Promise<Pair> {
  const p = await Pair.start(args);
  Deno.writeFileSync(`${p.root}/f`, BYTES);
  return p;
}

/** The event that ends a download, which has to be right and to leave nothing else behind. */
function assertWhole(p: Pair, { code, stdout, stderr }: Outcome): Record<string, number> {
  assertEquals(code, 0, stderr);
  const done = JSON.parse(stdout.trim().split("\n").at(-1)!);
  assertEquals([done.event, done.md5, done.total_size], ["done", md5(BYTES), SIZE]);
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/f`)), md5(BYTES));
  assertEquals(namesIn(p.cwd), ["f"]);
  return done;
}

/** A proxy in which one connection after the other gets a fault, each after so many bytes of all together. */
function faulty(p: Pair, kind: Fault["kind"], ...at: number[]): FaultyPeer {
  const faults = at.map((at) => ({ kind, direction: "down", at }) as const);
  return FaultyPeer.start(p.server.port, { faults });
}

/** Downloads until all three streams have stalled in the middle of their pieces, then does something to the client. */
async function untilStalled(
  p: Pair,
  then: (child: Deno.ChildProcess, proxy: FaultyPeer) => Promise<Outcome>,
): Promise<Outcome> {
  const stalled = Promise.withResolvers<void>();
  const stall = { kind: "stall", direction: "down" } as const;
  const faults: Fault[] = [
    { ...stall, at: 26 * MIB },
    { ...stall, at: 28 * MIB },
    { ...stall, at: 30 * MIB, onReached: stalled.resolve },
  ];
  await using proxy = FaultyPeer.start(p.server.port, { faults });
  const child = spawnFerry(GET, { cwd: p.cwd, server: proxy.address });
  await stalled.promise;
  return await then(child, proxy);
}

/** Ends a client by a signal. */
function ending(signal: Deno.Signal): (child: Deno.ChildProcess) => Promise<Outcome> {
  return (child) => {
    child.kill(signal);
    return outcome(child);
  };
}

/** What the record of the partial download says. */
function recordIn(p: Pair): { prefix: { size: number }; pieces: StoredPiece[] } {
  const name = namesIn(p.cwd).find((name) => name.endsWith(".json"))!;
  return JSON.parse(Deno.readTextFileSync(`${p.cwd}/${name}`));
}

/** How many bytes a record says are there. */
function storedOf({ prefix, pieces }: ReturnType<typeof recordIn>): number {
  return pieces.reduce((sum, { from, to }) => sum + to - Math.max(from, prefix.size), prefix.size);
}

Deno.test("ferry get --streams fetches a file over so many connections beside the first one", async () => {
  await using p = await served();
  await using proxy = faulty(p, "stall");
  const get = await ferry(GET, { cwd: p.cwd, server: proxy.address });
  const { bytes_received, resumed_from } = assertWhole(p, get);
  assertEquals([bytes_received, resumed_from], [SIZE, 0]);
  const [first, ...streams] = proxy.passed.map(({ down }) => down);
  assert(first! < 5000, `${first} bytes came over the first connection`);
  // On a busy machine, one that is very slow is given up.
  assert(streams.length >= 3 && streams.every((bytes) => bytes < 0.9 * SIZE), `${streams}`);
});

Deno.test("ferry get --streams fetches the pieces of a stream that dies over others", async () => {
  await using p = await served();
  await using proxy = faulty(p, "reset", 9 * MIB, 20 * MIB);
  const get = await ferry([...GET, "--retries", "0"], { cwd: p.cwd, server: proxy.address });
  assertWhole(p, get);
  assertEquals(proxy.pending, 0);
  // A stream that has moved something is replaced.
  assert(proxy.passed.length > 4);
});

Deno.test("ferry get --streams fetches a damaged piece once more", async () => {
  await using p = await served();
  await using proxy = faulty(p, "flip", 15 * MIB);
  const get = await ferry([...GET, "--retries", "0"], { cwd: p.cwd, server: proxy.address });
  assertWhole(p, get);
  assertEquals(proxy.pending, 0);
});

Deno.test("ferry get --streams does not wait for a stream that has stalled", async () => {
  await using p = await served();
  await using proxy = faulty(p, "stall", 10 * MIB);
  const get = await ferry([...GET, "--retries", "0"], { cwd: p.cwd, server: proxy.address });
  assertWhole(p, get);
  assertEquals(proxy.pending, 0);
});

Deno.test("ferry get --streams goes on with what a killed one has left", async () => {
  await using p = await served();
  await untilStalled(p, ending("SIGKILL"));
  const stored = storedOf(recordIn(p));
  assert(stored > 0);
  const { resumed_from, bytes_received } = assertWhole(p, await p.run(...GET));
  assertEquals([resumed_from, bytes_received], [stored, SIZE - stored]);
});

Deno.test("ferry get --streams that is interrupted ends, and keeps what has come", async () => {
  await using p = await served();
  const { code } = await untilStalled(p, ending("SIGINT"));
  assertEquals(code, 130);
  const stored = storedOf(recordIn(p));
  assertEquals(assertWhole(p, await p.run(...GET)).resumed_from, stored);
});

Deno.test("ferry get --streams goes on by itself when ferryd is killed and comes back", async () => {
  await using p = await served();
  const get = await untilStalled(p, async (child, proxy) => {
    const stderr = new Response(child.stderr).text();
    await p.server.stop("SIGKILL");
    let stdout = "";
    let isBack = false;
    for await (const bytes of child.stdout) {
      stdout += text(bytes);
      if (isBack || !stdout.includes('"retry"')) continue;
      isBack = true;
      p.server = await Ferryd.start(p.root);
      proxy.retarget(p.server.port);
    }
    return { ...await child.status, stdout, stderr: await stderr };
  });
  assert(assertWhole(p, get).resumed_from! > 0);
});

Deno.test("ferry get takes what several streams have left and goes on with one, and the reverse", async () => {
  await using p = await served();
  await untilStalled(p, ending("SIGKILL"));
  const { prefix } = recordIn(p);
  assertEquals(assertWhole(p, await p.run("get", "f", "--json")).resumed_from, prefix.size);
  Deno.removeSync(`${p.cwd}/f`);
  await using proxy = faulty(p, "close", 20 * MIB);
  const one = ["get", "f", "--retries", "0"];
  assertEquals((await ferry(one, { cwd: p.cwd, server: proxy.address })).code, 6);
  const { prefix: { size } } = recordIn(p);
  assert(size > 10 * MIB);
  assertEquals(assertWhole(p, await p.run(...GET)).resumed_from, size);
});

/** Leaves the first `size` bytes and some pieces of a file as an earlier attempt would. */
async function leave(p: Pair, size: number, pieces: [from: number, to: number][], damaged = -1) {
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: false }, DIGESTS);
  digest.update(BYTES.subarray(0, size));
  const part = partialPathOf(`${p.cwd}/f`, RUNTIME);
  const stored: StoredPiece[] = [];
  using file = Deno.openSync(part, { write: true, create: true });
  for (const [from, to] of [[0, size], ...pieces] as const) {
    const bytes = BYTES.slice(from, to);
    const checksum = await DIGESTS.checksumOf("xxh128", bytes);
    if (from > 0) stored.push({ from, to, xxh128: checksum.slice("xxh128:".length) });
    if (damaged >= from && damaged < to) bytes[damaged - from]! ^= 1;
    file.seekSync(from, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  }
  const mtime = Deno.statSync(`${p.root}/f`).mtime!.getTime();
  const prefix = digest.save()!;
  writeRecord(part, { filename: "f", size: SIZE, mtime, checksum: null, prefix, pieces: stored });
}

Deno.test("ferry get --streams keeps the pieces of an earlier attempt that are still right", async () => {
  await using p = await Pair.shared();
  Deno.writeFileSync(`${p.root}/f`, BYTES);
  const pieces: [number, number][] = [[10 * MIB, 14 * MIB], [20 * MIB, 23 * MIB], [38 * MIB, SIZE]];
  await leave(p, 6 * MIB, pieces);
  assertEquals(assertWhole(p, await p.run(...GET)).resumed_from, 15 * MIB + 12345);
  Deno.removeSync(`${p.cwd}/f`);
  await leave(p, 6 * MIB, pieces, 22 * MIB);
  assertEquals(assertWhole(p, await p.run(...GET)).resumed_from, 12 * MIB + 12345);
  Deno.removeSync(`${p.cwd}/f`);
  // Nothing of it is asked for once all of it is there.
  await leave(p, 6 * MIB, [[6 * MIB, SIZE]]);
  assertEquals(assertWhole(p, await p.run(...GET)).bytes_received, 0);
});

Deno.test("ferry get --streams begins anew what seems to be another file, or turns out to be one", async () => {
  await using p = await Pair.shared();
  Deno.writeFileSync(`${p.root}/f`, BYTES);
  await leave(p, 6 * MIB, [[10 * MIB, 14 * MIB]]);
  Deno.utimeSync(`${p.root}/f`, new Date(1000), new Date(1000));
  assertEquals(assertWhole(p, await p.run(...GET)).resumed_from, 0);
  Deno.removeSync(`${p.cwd}/f`);
  // The same size and time prove nothing: the checksum of the whole file shows it.
  const [other, time] = [randomBytes(SIZE, 8), new Date(2_000_000)];
  Deno.writeFileSync(`${p.root}/f`, other);
  Deno.utimeSync(`${p.root}/f`, time, time);
  await leave(p, 6 * MIB, [[10 * MIB, 14 * MIB]]);
  const get = await p.run(...GET);
  const events = get.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(events.map(({ event, code }) => code ?? event), ["checksum_mismatch", "done"]);
  assertEquals([events[1].md5, events[1].resumed_from], [md5(other), 0]);
});

Deno.test("ferry get --streams of a file that is replaced meanwhile gets the new one", async () => {
  await using p = await served();
  const other = randomBytes(SIZE, 9);
  const onReached = () => {
    Deno.writeFileSync(`${p.root}/new`, other);
    Deno.renameSync(`${p.root}/new`, `${p.root}/f`);
  };
  const faults = [{ kind: "close", direction: "down", at: 12 * MIB, onReached } as const];
  await using proxy = FaultyPeer.start(p.server.port, { faults });
  const { code, stdout, stderr } = await ferry(GET, { cwd: p.cwd, server: proxy.address });
  assertEquals(code, 0, stderr);
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(events.at(0).event, "retry");
  assertEquals([events.at(-1).md5, events.at(-1).resumed_from], [md5(other), 0]);
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/f`)), md5(other));
});

Deno.test("ferry get --streams makes do with as many connections as it may have, and says so", async () => {
  await using p = await served(["--max-connections", "3"]);
  const get = await p.run("get", "f", "--streams", "8");
  assertEquals(get.code, 0, get.stderr);
  assertMatch(get.stderr, /^ferry: only 2 of 8 streams could be opened: too many connections/);
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/f`)), md5(BYTES));
});

Deno.test("Client.get() fetches pieces over further connections with the same token and encryption", async () => {
  const { token: secret, record } = await token("read", "inbox");
  await using server = await TokenServer.start([record], { tls: MINE });
  Deno.writeFileSync(`${server.path}/inbox/f`, BYTES);
  await using proxy = FaultyPeer.start(server.server.addresses[0]!.port);
  const credentials = { token: secret, tls: { ca: [MINE.cert] } };
  await using client = await connect(proxy.address, { ...credentials, retries: 0 });
  await using dir = new TempDir();
  const progress: number[] = [];
  const { checksum, transferred } = await client.get("inbox/f", {
    ...{ out: dir.join("f"), streams: 3, durability: "none" },
    onProgress: ({ bytes }) => void progress.push(bytes),
  });
  assertEquals([checksum, transferred, progress.at(-1)], [md5(BYTES), SIZE, SIZE]);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assert(proxy.passed.length >= 4);
  assertEquals(md5(Deno.readFileSync(dir.join("f"))), md5(BYTES));
});

Deno.test("ferry get --streams fetches small files, streams and sparse files over one connection", async () => {
  await using p = await served();
  Deno.writeFileSync(`${p.root}/small`, BYTES.subarray(0, 3 * MIB));
  Deno.writeFileSync(`${p.root}/empty`, new Uint8Array());
  await using proxy = faulty(p, "stall");
  const run = (...args: string[]) =>
    ferry([...args, "--streams", "3"], { cwd: p.cwd, server: proxy.address });
  for (const args of [["small"], ["empty"], ["f", "--sparse"], ["f", "-o", "/dev/null"]]) {
    const before = proxy.passed.length;
    const { code, stderr } = await run("get", ...args, "--overwrite", "always");
    assertEquals([code, stderr, proxy.passed.length - before], [0, "", 1], args.join(" "));
  }
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/small`)), md5(BYTES.subarray(0, 3 * MIB)));
  assertEquals(Deno.readFileSync(`${p.cwd}/empty`).length, 0);
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/f`)), md5(BYTES));
});

Deno.test("ferry get --streams fetches the large files of a directory in pieces, by any checksum", async () => {
  await using p = await Pair.shared();
  Deno.mkdirSync(`${p.root}/t`);
  Deno.writeFileSync(`${p.root}/t/f`, BYTES);
  Deno.writeFileSync(`${p.root}/t/small`, BYTES.subarray(0, 3 * MIB));
  for (const checksum of ["sha256", "xxh128"]) {
    await using proxy = faulty(p, "stall");
    const args = ["get", "t", "--streams", "2", "--checksum", checksum];
    const { code, stderr } = await ferry(args, { cwd: p.cwd, server: proxy.address });
    assertEquals(code, 0, stderr);
    assert(proxy.passed.length >= 3);
    assertEquals(md5(Deno.readFileSync(`${p.cwd}/t/f`)), md5(BYTES));
    assertEquals(namesIn(`${p.cwd}/t`), ["f", "small"]);
    Deno.removeSync(`${p.cwd}/t`, { recursive: true });
  }
});
