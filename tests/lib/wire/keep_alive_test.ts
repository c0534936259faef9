import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { setImmediate } from "node:timers";
import { Heartbeat } from "../../../lib/wire/keep_alive.ts";
import { sendStreamed } from "../../../lib/transfer/send.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import {
  type Client,
  connect,
  type ConnectOptions,
  FerryError,
  FsStorage,
  serve,
  type ServeOptions,
  type Server,
} from "../../../mod.ts";
import { ManualClock, MemoryStream } from "../../support/memory_stream.ts";
import { TempDir } from "../../support/programs.ts";
import { frame, RawPeer } from "../../support/raw_peer.ts";
import { utf8 } from "../../support/bytes.ts";

/** Lets everything run that waits for nothing but its turn. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

const SIGN = { keep_alive: true };

/** A hello of a client that gives signs of life, and takes so many milliseconds of silence for the end. */
function hello(idle_ms: number) {
  return { op: "hello", versions: [1], features: ["keep-alive"], idle_ms };
}

/** A server in this process, and a storage whose requests take as long as a test wants. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly storage = FsStorage.open(this.dir.path, { durability: "none" });
  server!: Server;

  static async start(options: Omit<ServeOptions, "storage"> = {}): Promise<Fixture> {
    const fixture = new Fixture();
    const { storage } = fixture;
    fixture.server = await serve({ storage, listen: "127.0.0.1:0", ...options });
    return fixture;
  }

  get port(): number {
    return this.server.addresses[0]!.port;
  }

  connect(options: ConnectOptions = {}): Promise<Client> {
    return connect(`127.0.0.1:${this.port}`, { retries: 0, ...options });
  }

  /** A peer that was greeted. */
  async greeted(idle_ms: number): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.port);
    await peer.send(hello(idle_ms));
    assertEquals((await peer.receive())?.header.status, "ok");
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close({ drainTimeout: 0 });
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

type Slow = "checksum" | "open" | "remove" | "move" | "mkdir";

/** Makes a method of a storage wait, before it does what it does, until it is released. */
function slowDown(storage: FsStorage, name: Slow): () => void {
  const released = Promise.withResolvers<void>();
  const run = storage[name].bind(storage) as (...args: unknown[]) => Promise<never>;
  Object.assign(storage, {
    [name]: (...args: unknown[]) => released.promise.then(() => run(...args)),
  });
  return released.resolve;
}

/** A server that is told what to say. */
async function fakeServer(
  serve: (peer: Deno.TcpConn) => Promise<void>,
): Promise<{ address: string } & AsyncDisposable> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    for await (const conn of listener) {
      using peer = conn;
      await peer.read(new Uint8Array(4096));
      await serve(peer).catch(() => {});
    }
  })();
  await Promise.resolve();
  return {
    address: `127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await served.catch(() => {});
    },
  };
}

const GREETING = { status: "ok", version: 1, features: ["compare", "keep-alive"] };
const ENTRY = { status: "ok", filename: "f", type: "file", size: 0, mtime: 0, mode: 0, md5: null };

Deno.test("Heartbeat beats eight times in the time of the other side, within a conversation only", () => {
  using clock = new ManualClock();
  let beats = 0;
  const heartbeat = new Heartbeat(() => beats++);
  const early = heartbeat.converse();
  clock.advance(10_000);
  assertEquals([beats, clock.pending], [0, 0], "nobody has said that it understands them");
  heartbeat.start(8000);
  clock.advance(8000);
  assertEquals(beats, 8);
  early[Symbol.dispose]();
  early[Symbol.dispose]();
  clock.advance(8000);
  assertEquals([beats, clock.pending], [8, 0]);
  using _one = heartbeat.converse();
  using _another = heartbeat.converse();
  clock.advance(1000);
  assertEquals(beats, 9);
  heartbeat.stop();
  clock.advance(8000);
  assertEquals([beats, clock.pending], [9, 0]);
});

Deno.test("Heartbeat has a shortest interval and a longest one", () => {
  for (const [idleTimeout, within] of [[1, 10], [2 ** 31 - 1, 30_000]] as const) {
    using clock = new ManualClock();
    let beats = 0;
    const heartbeat = new Heartbeat(() => beats++);
    using _conversation = heartbeat.converse();
    heartbeat.start(idleTimeout);
    clock.advance(within - 1);
    assertEquals(beats, 0);
    clock.advance(1);
    assertEquals(beats, 1);
    heartbeat.stop();
  }
});

Deno.test("a server that works gives signs of life to who announces them, and to nobody else", async (t) => {
  const requests = {
    checksum: { op: "stat", filename: "f" },
    open: { op: "get", filename: "f" },
    remove: { op: "remove", filename: "f" },
    move: { op: "move", filename: "f", to: "g" },
    mkdir: { op: "mkdir", filename: "d" },
  } as const;
  for (const [name, request] of Object.entries(requests)) {
    await t.step(request.op, async () => {
      await using f = await Fixture.start();
      f.dir.write("f", "content");
      const release = slowDown(f.storage, name as Slow);
      using old = await RawPeer.connect(f.port);
      await old.send({ op: "hello", versions: [1] }, request);
      const { header } = (await old.receive())!;
      assertEquals([header.idle_ms, (header.features as string[]).includes("keep-alive")], [
        undefined,
        false,
      ]);
      using peer = await f.greeted(100);
      // Both replies are owed, and come in order behind the signs.
      await peer.send(request, { op: "ping" });
      for (let signs = 0; signs < 5; signs++) assertEquals((await peer.receive())?.header, SIGN);
      release();
      let reply = await peer.receive();
      while (reply?.header.keep_alive) reply = await peer.receive();
      const codes = [reply!.header.status];
      if (reply?.header.code) codes.push(reply.header.code);
      assert(codes[0] === "ok" || codes[1] === "not_found", `${codes}`);
      assertEquals((await peer.receive())?.header, { status: "ok" });
      assert((await old.receive())?.header.status);
    });
  }
});

Deno.test("a client waits for a server that gives signs of life, as long as it takes", async () => {
  await using f = await Fixture.start();
  f.dir.write("f", "content");
  const release = slowDown(f.storage, "checksum");
  await using client = await f.connect({ timeout: 300 });
  const stat = client.stat("f");
  setTimeout(release, 1000);
  assertEquals((await stat).size, 7);
});

Deno.test("a client gives up a server that gives none, also one that has announced them", async () => {
  const silent = Promise.withResolvers<void>();
  await using fake = await fakeServer(async (peer) => {
    await peer.write(frame(GREETING));
    await silent.promise;
  });
  await using client = await connect(fake.address, { timeout: 100, retries: 0 });
  const error = await assertRejects(() => client.stat("f"), FerryError);
  silent.resolve();
  assertEquals(error.code, "timeout");
  // Nor does it wait while it has nothing to send itself.
  const source = async function* () {
    yield utf8.encode("begin");
    await new Promise(() => {});
  };
  await using second = await fakeServer(async (peer) => {
    await peer.write(frame(GREETING));
    while (await peer.read(new Uint8Array(4096)) !== null);
  });
  await using another = await connect(second.address, { timeout: 100, retries: 0 });
  const upload = another.put(source(), { as: "f" });
  assertEquals((await assertRejects(() => upload, FerryError)).code, "timeout");
});

Deno.test("a sign of life has no body", async () => {
  await using fake = await fakeServer(async (peer) => {
    await peer.write(frame(GREETING));
    await peer.read(new Uint8Array(4096));
    await peer.write(frame({ ...SIGN, total_size: 1 }));
    await peer.write(frame(ENTRY));
  });
  await using client = await connect(fake.address, { retries: 0 });
  assertEquals((await assertRejects(() => client.stat("f"), FerryError)).code, "bad_header");
});

Deno.test("signs of life may stand between pieces, in front of a closing header, and in every read", async () => {
  await using f = await Fixture.start();
  using peer = await f.greeted(60_000);
  const md5 = "5d41402abc4b2a76b9719d911017c592";
  await peer.send(
    ...[SIGN, SIGN, { op: "put", filename: "f", md5: null, total_size: null }, SIGN],
    ...[{ total_size: 2 }, "he", SIGN, SIGN, { total_size: 3 }, "llo", SIGN],
    ...[{ end: true, md5, size: 5 }, SIGN],
    ...[{ op: "put", filename: "g", md5: null, total_size: 5 }, "hello", SIGN],
    ...[{ end: true, md5, size: 5 }, SIGN, { op: "get", filename: "g" }, SIGN],
  );
  for (let reply = 0; reply < 3; reply++) {
    assertEquals((await peer.receive())?.header.md5, md5);
  }
  await peer.end();
  assertEquals(await peer.receive(), null);
});

Deno.test("a stream that pauses for longer than the server bears silence arrives", async () => {
  await using f = await Fixture.start({ idleTimeout: 500, minRate: 1_000_000 });
  await using client = await f.connect();
  const source = async function* () {
    yield utf8.encode("begin\n");
    await delay(1500);
    yield utf8.encode("end\n");
  };
  await client.put(source(), { as: "f" });
  assertEquals(Deno.readTextFileSync(f.dir.join("f")), "begin\nend\n");
});

Deno.test("a stream that pauses without a sign of life is given up", async () => {
  await using f = await Fixture.start({ idleTimeout: 100 });
  using peer = await f.greeted(60_000);
  const put = { op: "put", filename: "f", md5: null, total_size: null };
  await peer.send(put, { total_size: 2 }, "he");
  for (let message; (message = await peer.receive());) assertEquals(message.header, SIGN);
});

Deno.test("signs of life in front of a piece do not save who sends the piece itself byte by byte", async () => {
  await using f = await Fixture.start({ idleTimeout: 300, minRate: 1_000_000 });
  using peer = await f.greeted(60_000);
  const put = { op: "put", filename: "f", md5: null, total_size: null };
  await peer.send(put, SIGN, { total_size: 1_000_000 });
  let over = false;
  const ended = (async () => {
    while (await peer.code() !== "ended");
    over = true;
  })();
  while (!over) {
    await peer.send(" ").catch(() => {});
    await delay(20);
  }
  await ended;
});

Deno.test("sendStreamed() sends what little has come on after a second", async () => {
  const stream = new MemoryStream();
  const sent = Promise.withResolvers<void>();
  const write = stream.write.bind(stream);
  stream.write = (bytes) => {
    sent.resolve();
    return write(bytes);
  };
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: 10_000 });
  const source = async function* () {
    yield utf8.encode("hello");
    await sent.promise;
  };
  await sendStreamed(wire, {}, source());
  assert(new TextDecoder().decode(stream.written).endsWith("hello"));
});

/** More than the systems on both sides keep for a connection. */
const LARGE_BYTES = 32 * 1024 * 1024;

Deno.test("a download into what takes nothing for a while comes to its end", async () => {
  await using f = await Fixture.start({ idleTimeout: 500, minRate: 1_000_000 });
  f.dir.write("f", new Uint8Array(LARGE_BYTES));
  await using client = await f.connect();
  let size = 0;
  const out = {
    async write(bytes: Uint8Array) {
      if (size === 0) await delay(1500);
      size += bytes.length;
    },
  };
  await client.get("f", { out });
  assertEquals(size, LARGE_BYTES);
});

Deno.test("who takes nothing is given up without a sign of life, and borne with them", async () => {
  await using f = await Fixture.start({ idleTimeout: 500 });
  f.dir.write("f", new Uint8Array(LARGE_BYTES));
  using silent = await f.greeted(60_000);
  using lively = await f.greeted(60_000);
  for (const peer of [silent, lively]) await peer.send({ op: "get", filename: "f" });
  for (let signs = 0; signs < 30; signs++) {
    await delay(50);
    await lively.send(SIGN);
  }
  assertEquals((await lively.receive())?.body.length, LARGE_BYTES);
  await assertRejects(() => silent.receive(), Error, "ended after");
});

Deno.test("a write that still moves bytes keeps the reads beside it from timing out", async () => {
  using clock = new ManualClock();
  const stream = new MemoryStream([], { silent: true });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: 1000 });
  const writes: PromiseWithResolvers<number>[] = [];
  stream.write = () => {
    const write = Promise.withResolvers<number>();
    writes.push(write);
    return write.promise;
  };
  const reading = wire.readFrame();
  await wire.writeFrame({ op: "ping" }, new Uint8Array(1000));
  const ends = Promise.allSettled([wire.flush(), reading]);
  for (let turn = 0; turn < 10; turn++) {
    clock.advance(900);
    assert(!wire.closed, "its own bytes are on their way");
    writes.at(-1)!.resolve(10);
    await settled();
  }
  assert(writes.length > 5);
  // A write that is stuck ends it all the same.
  clock.advance(1000);
  writes.at(-1)!.reject(new Deno.errors.Interrupted());
  const reasons = (await ends).map((end) => end.status === "rejected" ? end.reason.message : "");
  assertEquals(reasons, Array(2).fill("the peer took nothing for 1 s"));
});

Deno.test("who asked and waits gives no sign, unless it is to send more, or does not read", async () => {
  using clock = new ManualClock();
  const beat = async (stream: MemoryStream) => {
    const before = stream.writes.length;
    clock.advance(125);
    await settled();
    return stream.writes.length - before;
  };
  for (const answers of [true, false]) {
    const stream = new MemoryStream([], { silent: true });
    const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: 1000 });
    wire.keepAlive(1000, { answers });
    using _conversation = wire.converse();
    await wire.writeFrame({ op: "put", total_size: null });
    await wire.flush();
    await beat(stream);
    assertEquals(await beat(stream), 1, "it does not read");
    wire.readFrame().catch(() => {});
    assertEquals(await beat(stream), 1, "it may send another piece");
    await wire.writeFrame({ end: true });
    await wire.flush();
    await beat(stream);
    assertEquals(await beat(stream), answers ? 1 : 0);
    wire.close();
  }
});

Deno.test("a sign of life that this side gives does not stand for one of the other", async () => {
  using clock = new ManualClock();
  const stream = new MemoryStream([], { silent: true });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: 1000 });
  wire.keepAlive(1000, { answers: true });
  using _conversation = wire.converse();
  const reading = assertRejects(() => wire.readFrame(), FerryError, "sent nothing for 1 s");
  for (let turn = 0; turn < 8; turn++) {
    assert(!wire.closed);
    clock.advance(125);
    await settled();
  }
  await reading;
  assert(stream.writes.length > 5, `${stream.writes.length} signs were given`);
  assertEquals(stream.writes[0], frame(SIGN));
});

Deno.test("no sign of life stands in the middle of a body", async () => {
  using clock = new ManualClock();
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: 1000 });
  wire.keepAlive(1000, { answers: true });
  using _conversation = wire.converse();
  const md5 = "0".repeat(32);
  await wire.writeFrame({ op: "put", md5, total_size: 4 });
  const between = async () => {
    clock.advance(500);
    await wire.flush();
    return stream.written.length;
  };
  const begun = await between();
  await wire.write(utf8.encode("abc"));
  assertEquals(await between(), begun + 3);
  await wire.write(utf8.encode("d"));
  await between();
  assert(await between() > begun + 4);
  const text = new TextDecoder().decode(stream.written);
  assert(text.indexOf("abcd") > 0 && text.indexOf("keep_alive") > text.indexOf("abcd"), text);
  wire.close();
});
