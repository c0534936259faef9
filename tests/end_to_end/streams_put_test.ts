import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { readRecord, storedBytes } from "../../lib/files/partial_file.ts";
import { md5, MIB } from "../support/bytes.ts";
import { namesIn } from "../support/directories.ts";
import { type Fault, FaultyPeer } from "../support/faulty_peer.ts";
import { Pair } from "../support/pair.ts";
import { ferry, Ferryd, type Outcome, outcome, spawnFerry, stagedIn } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";

/** Large enough for several streams, and no multiple of any size of a piece. */
const SIZE = 40 * MIB + 12345;
const BYTES = randomBytes(SIZE, 11);
const PUT = ["put", "f", "--streams", "3", "--json"];

/** A server, and {@linkcode BYTES} to be sent to it as `f`. */
async function pair(args: string[] = []): Promise<Pair> {
  const p = await Pair.start(args);
  p.write("f", BYTES);
  return p;
}

/** The event that ends an upload, which has to be right and to leave nothing else behind. */
function assertWhole(p: Pair, { code, stdout, stderr }: Outcome): Record<string, number> {
  assertEquals(code, 0, stderr + stdout);
  const done = JSON.parse(stdout.trim().split("\n").at(-1)!);
  assertEquals([done.event, done.md5, done.total_size], ["done", md5(BYTES), SIZE]);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(BYTES));
  assertEquals(stagedIn(p.root), []);
  return done;
}

/** A proxy in which one connection after the other gets a fault, each after so many bytes of all together. */
function faulty(p: Pair, kind: Fault["kind"], ...at: number[]): FaultyPeer {
  const faults = at.map((at) => ({ kind, direction: "up", at }) as const);
  return FaultyPeer.start(p.server.port, { faults });
}

/** How many bytes the server has recorded of its partial uploads. */
function recorded({ root }: Pair): number {
  const staging = `${root}/.ferry/staging`;
  return stagedIn(root).reduce((sum, name) => {
    const record = name.endsWith(".part") ? readRecord(`${staging}/${name}`) : undefined;
    return sum + (record ? storedBytes(record) : 0);
  }, 0);
}

/** Uploads until all three streams have stalled in the middle of their pieces, and something is recorded. */
async function untilStalled(
  p: Pair,
  then: (child: Deno.ChildProcess, proxy: FaultyPeer) => Promise<void> | void,
): Promise<Outcome> {
  const stalled = Promise.withResolvers<void>();
  const stall = { kind: "stall", direction: "up" } as const;
  const faults: Fault[] = [
    { ...stall, at: 26 * MIB },
    { ...stall, at: 28 * MIB },
    { ...stall, at: 30 * MIB, onReached: stalled.resolve },
  ];
  await using proxy = FaultyPeer.start(p.server.port, { faults });
  const child = spawnFerry(PUT, { cwd: p.cwd, server: proxy.address });
  await stalled.promise;
  while (recorded(p) === 0) await delay(10);
  await then(child, proxy);
  return await outcome(child);
}

Deno.test("ferry put --streams sends each byte once, over so many connections beside the first one", async () => {
  await using p = await pair();
  await using proxy = faulty(p, "stall");
  const put = await ferry(PUT, { cwd: p.cwd, server: proxy.address });
  const { bytes_sent, resumed_from } = assertWhole(p, put);
  assertEquals([bytes_sent, resumed_from], [SIZE, 0]);
  const passed = proxy.passed.map(({ up }) => up);
  assertEquals(passed.length, 4);
  const all = passed.reduce((sum, bytes) => sum + bytes, 0);
  assert(passed[0]! < 5000, `${passed[0]} bytes went over the first connection`);
  assert(all < SIZE + 50_000, `${all} bytes went`);
});

Deno.test("ferry put --streams sends the pieces of a stream that dies over others", async () => {
  await using p = await pair();
  await using proxy = faulty(p, "reset", 9 * MIB, 20 * MIB);
  const put = await ferry([...PUT, "--retries", "0"], { cwd: p.cwd, server: proxy.address });
  assertWhole(p, put);
  assertEquals(proxy.pending, 0);
});

Deno.test("ferry put --streams sends a damaged piece once more", async () => {
  await using p = await pair();
  await using proxy = faulty(p, "flip", 15 * MIB);
  const put = await ferry([...PUT, "--retries", "0"], { cwd: p.cwd, server: proxy.address });
  assertWhole(p, put);
  assertEquals(proxy.pending, 0);
});

Deno.test("ferry put --streams does not wait for a stream that has stalled", async () => {
  await using p = await pair();
  await using proxy = faulty(p, "stall", 10 * MIB);
  const put = await ferry([...PUT, "--retries", "0"], { cwd: p.cwd, server: proxy.address });
  assertWhole(p, put);
  assertEquals(proxy.pending, 0);
});

Deno.test("ferry put --streams goes on with what a killed one has left, as does one stream", async () => {
  for (const again of [PUT, ["put", "f", "--json"]]) {
    await using p = await pair();
    await untilStalled(p, (child) => child.kill("SIGKILL"));
    await p.uploadsEnded();
    const stored = recorded(p);
    const { resumed_from, bytes_sent } = assertWhole(p, await p.run(...again));
    assertEquals(resumed_from! + bytes_sent!, SIZE);
    if (again === PUT) assertEquals(resumed_from, stored);
    else assert(resumed_from! > 0 && resumed_from! <= stored);
  }
});

Deno.test("ferry put --streams goes on by itself when ferryd is killed and comes back", async () => {
  await using p = await pair();
  let stored = 0;
  const put = await untilStalled(p, async (_, proxy) => {
    await p.server.stop("SIGKILL");
    stored = recorded(p);
    p.server = await Ferryd.start(p.root);
    proxy.retarget(p.server.port);
  });
  const { resumed_from } = assertWhole(p, put);
  assertEquals(resumed_from, stored);
});

Deno.test("ferry put --streams sends no piece again of a file that has changed since", async () => {
  await using p = await pair();
  await untilStalled(p, (child) => child.kill("SIGKILL"));
  await p.uploadsEnded();
  const changed = BYTES.slice();
  // Behind the first bytes, which are what one stream would compare.
  const last = Math.max(...piecesIn(p).map(({ to }) => to));
  changed[last - 1]! ^= 1;
  p.write("f", changed);
  const { code, stdout } = await p.run(...PUT);
  const { resumed_from, md5: stored } = JSON.parse(stdout.trim().split("\n").at(-1)!);
  assertEquals([code, resumed_from, stored], [0, 0, md5(changed)]);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(changed));
});

/** The pieces in the record of the partial upload. */
function piecesIn({ root }: Pair) {
  const name = stagedIn(root).find((name) => name.endsWith(".part"))!;
  return readRecord(`${root}/.ferry/staging/${name}`)?.pieces ?? [];
}

Deno.test("ferry put --streams of a file that changes meanwhile publishes nothing", async () => {
  await using p = await pair();
  const change = () => void p.write("f", BYTES.subarray(1));
  // The piece is sent once more, so that the change is over before the last bytes are read.
  const faults = [{ kind: "flip", direction: "up", at: 20 * MIB, onReached: change }] as const;
  await using proxy = FaultyPeer.start(p.server.port, { faults });
  const put = await ferry([...PUT, "--retries", "0"], { cwd: p.cwd, server: proxy.address });
  assertMatch(put.stdout, /"event":"error".*"code":"io"/);
  assertEquals(namesIn(p.root).filter((name) => name !== ".ferry"), []);
});

Deno.test("ferry put --streams takes no more than the quota", async () => {
  await using p = await pair(["--quota", "30MiB"]);
  const { code, stderr } = await p.run("put", "f", "--streams", "3");
  assertEquals(code, 5, stderr);
  assertMatch(stderr, /disk quota of 30 MiB reached/);
  assertEquals(stagedIn(p.root), []);
});

Deno.test("ferry put --streams makes do with as many connections as it may have, and says so", async () => {
  await using p = await pair(["--max-connections", "3"]);
  const { code, stderr } = await p.run("put", "f", "--streams", "8");
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /only 2 of 8 streams could be opened: too many connections/);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(BYTES));
});

Deno.test("two of ferry put --streams with one name both end, each with a whole file", async () => {
  await using p = await pair();
  const run = () => p.run(...PUT, "--overwrite", "always");
  for (const put of await Promise.all([run(), run()])) assertWhole(p, put);
});

Deno.test("ferry put --streams sends small and sparse files over one connection", async () => {
  await using p = await pair();
  p.write("small", BYTES.subarray(0, 9 * MIB));
  p.write("empty", "");
  await using proxy = faulty(p, "stall");
  for (const args of [["small"], ["empty"], ["f", "--sparse"]]) {
    const before = proxy.passed.length;
    const options = { cwd: p.cwd, server: proxy.address };
    const { code, stderr } = await ferry(["put", ...args, "--streams", "3"], options);
    assertEquals([code, stderr, proxy.passed.length - before], [0, "", 1], args.join(" "));
  }
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(BYTES));
});

Deno.test("ferry put --streams auto opens more connections to a server that is far away", async () => {
  await using p = await pair();
  await using proxy = FaultyPeer.start(p.server.port, { delay: 20 });
  const put = ["put", "f", "--streams", "auto", "--json"];
  assertWhole(p, await ferry(put, { cwd: p.cwd, server: proxy.address }));
  assert(proxy.passed.length >= 3, `${proxy.passed.length} connections`);
});

Deno.test("ferry put --streams keeps all that a put keeps, by any checksum, also in a directory", async () => {
  await using p = await Pair.start();
  Deno.mkdirSync(`${p.cwd}/t`);
  Deno.utimeSync(p.write("t/f", BYTES), 1_000_000_000, 1_000_000_000);
  Deno.chmodSync(`${p.cwd}/t/f`, 0o640);
  for (const [as, ...args] of [["a", "--checksum", "sha256"], ["b", "--atomic"]] as const) {
    await using proxy = faulty(p, "stall");
    const put = ["put", "t", "--as", as!, "--preserve", "--streams", "2", ...args];
    const { code, stderr } = await ferry(put, { cwd: p.cwd, server: proxy.address });
    assertEquals(code, 0, stderr);
    assertEquals([as, proxy.passed.length], [as, 3]);
    const { mtime, mode } = Deno.statSync(`${p.root}/${as}/f`);
    assertEquals([mtime!.getTime(), mode! & 0o777], [1_000_000_000_000, 0o640]);
    assertEquals(md5(Deno.readFileSync(`${p.root}/${as}/f`)), md5(BYTES));
  }
  assertEquals(stagedIn(p.root), []);
});
