import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { EMPTY_MD5, md5Of } from "../lib/checksum.ts";
import { type ErrorCode, FerryError, toFerryError } from "../lib/errors.ts";
import type { Header } from "../lib/header.ts";
import type { ByteSource } from "../lib/storage.ts";
import { receive, sendSized, sendStreamed } from "../lib/transfer.ts";
import { type ByteStream, type Frame, MAX_DRAIN_BYTES, Wire } from "../lib/wire.ts";
import { BAD, bytesOf, concat, GOOD, meaningOf, message } from "./vectors.ts";

const IDLE = 10_000;
const ABC_MD5 = "900150983cd24fb0d6963f7d28e17f72";
const utf8 = new TextEncoder();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A connection in memory: what the peer sends, segment by segment, and what it is sent. */
class MemoryStream implements ByteStream {
  readonly #segments: Iterator<Uint8Array>;
  readonly #options: MemoryStreamOptions;
  #rest: Uint8Array = new Uint8Array();
  #ended = false;
  readonly #closed = Promise.withResolvers<never>();
  /** What was called, in order. */
  readonly calls: string[] = [];
  /** The bytes of each write. */
  readonly writes: Uint8Array[] = [];
  /** How much room each read offered. */
  readonly rooms: number[] = [];

  constructor(segments: Iterable<Uint8Array> = [], options: MemoryStreamOptions = {}) {
    this.#segments = segments[Symbol.iterator]();
    this.#options = options;
    this.#closed.promise.catch(() => {});
  }

  read(buffer: Uint8Array): Promise<number | null> {
    this.calls.push("read");
    this.rooms.push(buffer.length);
    while (this.#rest.length === 0 && !this.#ended) {
      const { value, done } = this.#segments.next();
      if (done) this.#ended = true;
      else this.#rest = value;
    }
    if (this.#rest.length === 0) {
      return this.#options.silent ? this.#closed.promise : Promise.resolve(null);
    }
    const piece = this.#rest.subarray(0, buffer.length);
    buffer.set(piece);
    this.#rest = this.#rest.subarray(piece.length);
    return Promise.resolve(piece.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.calls.push("write");
    const { takes = Infinity } = this.#options;
    if (takes === 0) return this.#closed.promise;
    const taken = bytes.slice(0, takes);
    this.writes.push(taken);
    return Promise.resolve(taken.length);
  }

  closeWrite(): Promise<void> {
    this.calls.push("closeWrite");
    return Promise.resolve();
  }

  close(): void {
    this.calls.push("close");
    this.#closed.reject(new Deno.errors.Interrupted());
  }

  get written(): Uint8Array<ArrayBuffer> {
    return concat(this.writes);
  }
}

interface MemoryStreamOptions {
  /** Whether the peer says nothing more, instead of ending, when its segments are used up. */
  silent?: boolean;
  /** How many bytes a write takes; 0 for a peer that takes none. */
  takes?: number;
}

/** Timers that go off when they are told to. */
class ManualClock implements Disposable {
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  readonly #timers = new Map<number, { at: number; run: () => void }>();
  #now = 0;
  #ids = 0;

  constructor() {
    const set = (run: () => void, ms = 0) => {
      this.#timers.set(++this.#ids, { at: this.#now + ms, run });
      return this.#ids;
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = (id) => void this.#timers.delete(Number(id));
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets that much time pass. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= until)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, { at, run }] = due;
      this.#timers.delete(id);
      this.#now = at;
      run();
    }
    this.#now = until;
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
  }
}

/** Takes everything and keeps it. */
class Collector {
  readonly #pieces: Uint8Array[] = [];

  write(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes.slice());
    return Promise.resolve();
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return concat(this.#pieces);
  }
}

function wireOver(...parts: Uint8Array[]): Wire {
  return new Wire(new MemoryStream(parts), { idleTimeout: IDLE });
}

async function frameOf(...parts: Uint8Array[]): Promise<Frame> {
  const frame = await wireOver(...parts).readFrame();
  assert(frame);
  return frame;
}

async function assertFails(run: Promise<unknown>, code: ErrorCode, words = ""): Promise<void> {
  const error = await assertRejects(() => run, FerryError, words);
  assertEquals(error.code, code, error.message);
}

interface Received {
  header: Header;
  bytes: Uint8Array;
  md5: string;
  size: number;
}

/** All the messages up to the end, or up to the first failure and whether that is the end. */
async function readAll(
  wire: Wire,
): Promise<{ received: Received[]; code?: ErrorCode; ends?: boolean }> {
  const received: Received[] = [];
  for (;;) {
    let frame: Frame | null;
    try {
      frame = await wire.readFrame();
    } catch (error) {
      return { received, code: toFerryError(error).code, ends: true };
    }
    if (!frame) return { received };
    const { header, body } = frame;
    const sink = new Collector();
    try {
      const { md5, size } = await receive(body, sink);
      received.push({ header, bytes: sink.bytes, md5, size });
    } catch (error) {
      const goesOn = await body.drain().catch(() => false);
      return { received, code: toFerryError(error).code, ends: !goesOn };
    }
  }
}

/** The same numbers from 0 to 1 each time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function* inBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
}

function* inSegments(bytes: Uint8Array, random: () => number): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length;) {
    // Mostly short ones, so that all the borders are met.
    const end = start + 1 + Math.floor(random() ** 3 * 5000);
    yield bytes.subarray(start, end);
    start = end;
  }
}

const SEGMENTATIONS: Record<string, (bytes: Uint8Array) => Iterable<Uint8Array>> = {
  "whole": (bytes) => [bytes],
  "one byte at a time": inBytes,
  "in random segments": (bytes) => inSegments(bytes, seeded(bytes.length)),
};

for (const [how, segment] of Object.entries(SEGMENTATIONS)) {
  Deno.test(`Wire.readFrame() understands every good vector ${how}`, async () => {
    for (const { name, hex, messages } of GOOD) {
      const wire = wireOver(...segment(bytesOf(hex)));
      const { received, code } = await readAll(wire);
      assertEquals(code, undefined, name);
      assertEquals(received.length, messages.length, name);
      for (const [i, { header, body }] of messages.entries()) {
        const { header: seen, bytes, md5, size } = received[i]!;
        assertEquals({ ...seen }, meaningOf(header), name);
        assertEquals([size, md5, md5Of(bytes)], [body.size, body.md5, body.md5], name);
        if (body.hex !== undefined) assertEquals(bytes.toHex(), body.hex, name);
      }
    }
  });

  Deno.test(`Wire.readFrame() refuses every bad vector ${how}, and goes on where it may`, async () => {
    const next = message('{"op":"ping","filename":"next"}');
    for (const { name, hex, code, ends } of BAD) {
      // Behind what was cut off nothing follows.
      const bytes = concat([bytesOf(hex), ...(code === "closed" ? [] : [next])]);
      const wire = wireOver(...segment(bytes));
      const outcome = await readAll(wire);
      assertEquals([outcome.code as string, outcome.ends], [code, ends], name);
      if (ends) continue;
      const { received, code: later } = await readAll(wire);
      assertEquals(received.map(({ header }) => header.filename), ["next"], name);
      assertEquals(later, undefined, name);
    }
  });
}

Deno.test("Wire.readFrame() reads what sendSized() and sendStreamed() write, however it is cut", async () => {
  const body = fc.uint8Array({ maxLength: 300 });
  const messages = fc.array(
    fc.record({
      kind: fc.constantFrom("in front", "behind", "streamed"),
      pieces: fc.array(body, { maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 6 },
  );
  const property = fc.asyncProperty(
    messages,
    fc.integer({ min: 1, max: 700 }),
    fc.integer(),
    async (sent, takes, seed) => {
      const stream = new MemoryStream([], { takes });
      const sender = new Wire(stream, { idleTimeout: IDLE });
      for (const { kind, pieces } of sent) {
        const bytes = concat(pieces);
        const options = { size: bytes.length, md5: kind === "in front" ? md5Of(bytes) : null };
        const header = { filename: kind };
        if (kind === "streamed") await sendStreamed(sender, header, ReadableStream.from(pieces));
        else await sendSized(sender, header, sourceOf(bytes), options);
      }
      await sender.flush();
      const { received, code } = await readAll(
        wireOver(...inSegments(stream.written, seeded(seed))),
      );
      assertEquals(code, undefined);
      assertEquals(
        received.map(({ header, bytes }) => [header.filename, bytes.toHex()]),
        sent.map(({ kind, pieces }) => [kind, concat(pieces).toHex()]),
      );
    },
  );
  await fc.assert(property, { seed: 3, numRuns: 100 });
});

Deno.test("Wire.readFrame() gives null where the connection ends between two messages", async () => {
  const wire = wireOver(message("{}"));
  assert(await wire.readFrame());
  assertEquals(await wire.readFrame(), null);
});

Deno.test("Wire.readFrame() does not pass over a body that was not read", async () => {
  const wire = wireOver(message('{"total_size":1}', "a"), message("{}"));
  await wire.readFrame();
  await assertFails(wire.readFrame(), "internal", "the body before this message was not read");
});

Deno.test("Wire.readFrame() refuses a length before it makes room for it", async () => {
  for (const length of [65537, 0x7fffffff, -1]) {
    const prefix = new Uint8Array(4);
    new DataView(prefix.buffer).setInt32(0, length, true);
    const stream = new MemoryStream([prefix], { silent: true });
    await assertFails(
      new Wire(stream, { idleTimeout: IDLE }).readFrame(),
      "bad_header",
      `the header's length is ${length}; it must be 2 to 65536`,
    );
    // It neither waits for what was announced nor offers more room than for any first read.
    assertEquals(stream.rooms, [4096]);
  }
});

Deno.test("Wire.readFrame() makes no more room than the longest header needs", async () => {
  const longest = `{"x":"${"a".repeat(65536 - 8)}"}`;
  const stream = new MemoryStream(inBytes(message(longest)));
  assert(await new Wire(stream, { idleTimeout: IDLE }).readFrame());
  const largest = Math.max(...stream.rooms);
  assert(largest <= 4 + 65536, `a read offered ${largest} bytes`);
});

Deno.test("receive() takes no memory in proportion to an announced size", async () => {
  const stream = new MemoryStream([message('{"total_size":9223372036854775807}', "abc")]);
  const frame = await new Wire(stream, { idleTimeout: IDLE }).readFrame();
  await assertFails(receive(frame!.body, new Collector()), "closed", "in the middle of a body");
  assert(Math.max(...stream.rooms) <= 1024 * 1024);
});

Deno.test("Wire.writeFrame() sends a header and a small body in one write", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  await wire.writeFrame({ total_size: 3 }, utf8.encode("abc"));
  assertEquals(stream.writes.length, 0);
  await wire.flush();
  assertEquals(stream.writes.map((bytes) => bytes.toHex()), [
    message('{"total_size":3}', "abc").toHex(),
  ]);
  assertEquals(wire.bytesWritten, stream.written.length);
});

Deno.test("Wire.writeFrame() gathers several small messages in one write", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  for (let i = 0; i < 3; i++) await wire.writeFrame({ i });
  await wire.flush();
  await wire.flush();
  assertEquals(stream.writes.length, 1);
  assertEquals(
    stream.written,
    concat([message('{"i":0}'), message('{"i":1}'), message('{"i":2}')]),
  );
});

Deno.test("Wire.writeBytes() sends everything however little a write takes", async () => {
  const body = Uint8Array.from({ length: 150_000 }, (_, i) => i % 251);
  for (const takes of [1000, 65536, Infinity]) {
    const stream = new MemoryStream([], { takes });
    const wire = new Wire(stream, { idleTimeout: IDLE });
    await wire.writeFrame({ total_size: body.length });
    for (const [start, end] of [[0, 3], [3, 100_000], [100_000, 150_000]]) {
      const piece = body.slice(start, end);
      await wire.writeBytes(piece);
      // What was given may be overwritten afterwards.
      piece.fill(0xff);
    }
    await wire.flush();
    assertEquals(md5Of(stream.written), md5Of(message('{"total_size":150000}', body)));
    assertEquals(wire.bytesWritten, stream.written.length);
  }
});

Deno.test("Wire.writeBytes() sends everything where a write takes three bytes", async () => {
  const stream = new MemoryStream([], { takes: 3 });
  const wire = new Wire(stream, { idleTimeout: IDLE });
  await wire.writeFrame({ op: "ping" }, utf8.encode("0123456789"));
  await wire.flush();
  assertEquals(stream.written, message('{"op":"ping"}', "0123456789"));
  assertEquals(stream.writes.length, Math.ceil(stream.written.length / 3));
});

Deno.test("Wire.readFrame() times out where the peer sends nothing", async () => {
  // A real timer: the one test that waits for it.
  const stream = new MemoryStream([message("{}").subarray(0, 3)], { silent: true });
  const wire = new Wire(stream, { idleTimeout: 20 });
  await assertFails(wire.readFrame(), "timeout", "the peer sent nothing for 0.02 s");
  assert(wire.closed);
  await assertFails(wire.readFrame(), "timeout");
  await assertFails(wire.writeFrame({}).then(() => wire.flush()), "timeout");
});

Deno.test("Wire.flush() times out where the peer takes nothing", async () => {
  using clock = new ManualClock();
  const wire = new Wire(new MemoryStream([], { takes: 0 }), { idleTimeout: 5000 });
  await wire.writeFrame({});
  const flushing = wire.flush();
  clock.advance(5000);
  await assertFails(flushing, "timeout", "the peer took nothing for 5 s");
  assert(!wire.writable);
});

Deno.test("Wire.readFrame() starts the idle time anew with each byte, and leaves no timer behind", async () => {
  using clock = new ManualClock();
  const slowly = function* (): Generator<Uint8Array> {
    for (const byte of inBytes(message('{"op":"ping"}'))) {
      clock.advance(4999);
      yield byte;
    }
  };
  const wire = new Wire(new MemoryStream(slowly()), { idleTimeout: 5000 });
  assertEquals((await wire.readFrame())?.header.op, "ping");
  assertEquals(clock.pending, 0);
});

Deno.test("Wire.readFrame() asks for the idle time anew each time", async () => {
  using clock = new ManualClock();
  let idleTimeout = 1000;
  const stream = new MemoryStream([message("{}")], { silent: true });
  const wire = new Wire(stream, { idleTimeout: () => idleTimeout });
  assert(await wire.readFrame());
  idleTimeout = 3000;
  const reading = wire.readFrame();
  clock.advance(2999);
  assert(!wire.closed);
  clock.advance(1);
  await assertFails(reading, "timeout", "the peer sent nothing for 3 s");
});

Deno.test("Wire.hold() keeps reads from timing out until it is disposed of", async () => {
  using clock = new ManualClock();
  const wire = new Wire(new MemoryStream([], { silent: true }), { idleTimeout: 1000 });
  const first = wire.hold();
  const second = wire.hold();
  const reading = wire.readFrame();
  clock.advance(10_000);
  assert(!wire.closed);
  first[Symbol.dispose]();
  clock.advance(10_000);
  assert(!wire.closed, "one of two holds is left");
  second[Symbol.dispose]();
  clock.advance(1000);
  await assertFails(reading, "timeout");
});

Deno.test("Wire.hold() does not keep writes from timing out", async () => {
  using clock = new ManualClock();
  const wire = new Wire(new MemoryStream([], { takes: 0 }), { idleTimeout: 1000 });
  using _hold = wire.hold();
  await wire.writeFrame({});
  const flushing = wire.flush();
  clock.advance(1000);
  await assertFails(flushing, "timeout");
});

Deno.test("Wire.close() fails what is under way with its reason", async () => {
  const stream = new MemoryStream([], { silent: true });
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const reading = wire.readFrame();
  wire.close(new FerryError("busy", "the server is full"));
  await assertFails(reading, "busy", "the server is full");
  wire.close(new FerryError("io", "another reason"));
  await assertFails(wire.readFrame(), "busy");
  assertEquals(stream.calls, ["read", "close"]);
});

Deno.test("Wire.close() without a reason is closed", async () => {
  const wire = new Wire(new MemoryStream([], { silent: true }), { idleTimeout: IDLE });
  const reading = wire.readFrame();
  wire.close();
  await assertFails(reading, "closed");
});

Deno.test("Wire.endWrites() ends one direction and leaves the other", async () => {
  const stream = new MemoryStream([message('{"status":"ok"}')]);
  const wire = new Wire(stream, { idleTimeout: IDLE });
  await wire.writeFrame({ total_size: 3 });
  wire.endWrites(new FerryError("io", "it shrank"));
  assert(!wire.writable);
  assert(!wire.closed);
  await assertFails(wire.flush(), "io", "it shrank");
  assertEquals((await wire.readFrame())?.header.status, "ok");
  assertEquals(stream.written.length, 0);
  assertEquals(stream.calls[0], "closeWrite");
});

Deno.test("Wire.closeGracefully() flushes, ends its direction, and waits for the peer's end", async () => {
  const stream = new MemoryStream([utf8.encode("unread"), utf8.encode("input")]);
  const wire = new Wire(stream, { idleTimeout: IDLE });
  await wire.writeFrame({ status: "ok" });
  await wire.closeGracefully();
  assertEquals(stream.calls, ["write", "closeWrite", "read", "read", "read", "close"]);
  assertEquals(text(stream.written.subarray(4)), '{"status":"ok"}');
});

Deno.test("Wire.closeGracefully() waits two seconds and no longer", async () => {
  using clock = new ManualClock();
  const stream = new MemoryStream([], { silent: true });
  const closing = new Wire(stream, { idleTimeout: IDLE }).closeGracefully();
  while (!stream.calls.includes("read")) await Promise.resolve();
  clock.advance(1999);
  assert(!stream.calls.includes("close"));
  clock.advance(1);
  await closing;
  assertEquals(stream.calls.at(-1), "close");
  assertEquals(clock.pending, 0);
});

Deno.test("Wire.closeGracefully() lets the peer read a refusal of what it is still sending", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  using client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const wire = new Wire(await accepting, { idleTimeout: IDLE });
  const body = new Uint8Array(4 * 1024 * 1024);
  const sending = (async () => {
    const bytes = message(`{"total_size":${body.length}}`, body);
    for (let done = 0; done < bytes.length;) done += await client.write(bytes.subarray(done));
    await client.closeWrite();
  })();
  await wire.readFrame();
  await wire.writeFrame({ status: "error", code: "too_large" });
  const closing = wire.closeGracefully();
  const reply = new Uint8Array(1000);
  const count = await client.read(reply);
  assertEquals(reply.subarray(0, count!), message('{"status":"error","code":"too_large"}'));
  assertEquals(await client.read(reply), null);
  await Promise.all([sending, closing]);
});

Deno.test("IncomingBody.drain() goes on where 1 MiB is left, and does not begin where it is more", async () => {
  const limit = Number(MAX_DRAIN_BYTES);
  const md5 = EMPTY_MD5;
  const bodyOf = async (size: number) => {
    const stream = new MemoryStream([
      message(JSON.stringify({ md5, total_size: size })),
      new Uint8Array(size),
    ]);
    const wire = new Wire(stream, { idleTimeout: IDLE });
    return { stream, body: (await wire.readFrame())!.body };
  };
  const { body } = await bodyOf(limit);
  assertEquals([await body.drain(), body.ended, body.count], [true, true, MAX_DRAIN_BYTES]);

  const { body: larger, stream } = await bodyOf(limit + 1);
  const reads = stream.rooms.length;
  assertEquals([await larger.drain(), larger.ended], [false, false]);
  assertEquals(stream.rooms.length, reads, "it read in vain");
  // What has been read does not count: only what is left.
  await larger.read(new Uint8Array(1));
  assert(await larger.drain());
});

Deno.test("IncomingBody.drain() ends a streamed body, or gives up after 1 MiB", async () => {
  const piece = message('{"total_size":65536}', new Uint8Array(65536));
  const closing = message(`{"end":true,"md5":"${EMPTY_MD5}","size":1}`);
  const streamed = message('{"total_size":null}');
  // That the closing header is wrong does not matter any more.
  const short = await frameOf(streamed, ...Array(16).fill(piece), closing);
  assert(await short.body.drain());
  const long = await frameOf(streamed, ...Array(40).fill(piece), closing);
  assert(!await long.body.drain());
  const { count } = long.body;
  assert(count > MAX_DRAIN_BYTES && count <= MAX_DRAIN_BYTES + 65536n, String(count));
});

Deno.test("IncomingBody.drain() reads the closing header as well", async () => {
  const wire = wireOver(
    message('{"total_size":3}', "abc"),
    message('{"end":true,"status":"error","code":"io","message":"it changed"}'),
    message('{"op":"ping"}'),
  );
  const frame = await wire.readFrame();
  assert(await frame!.body.drain());
  assertEquals((await wire.readFrame())?.header.op, "ping");
});

Deno.test("IncomingBody.drain() takes nothing for a message once the framing broke", async () => {
  const wire = wireOver(
    message('{"total_size":3}', "abc"),
    message('{"op":"ping"}'),
    message(`{"end":true,"md5":"${ABC_MD5}","size":3}`),
    message('{"op":"ping"}'),
  );
  const { body } = (await wire.readFrame())!;
  await assertFails(receive(body, new Collector()), "bad_header", "a closing header was expected");
  assertEquals([await body.drain(), body.ended], [false, false]);
});

Deno.test("IncomingBody.drain() fails where the framing breaks in what it drains", async () => {
  const { body } = await frameOf(message('{"total_size":3}', "abc"), message('{"op":"ping"}'));
  await assertFails(body.drain(), "bad_header", "a closing header was expected");
  assertEquals(await body.drain(), false);
});

Deno.test("IncomingBody.drain() fails where the connection does", async () => {
  const { body } = await frameOf(message('{"total_size":4}', "abc"));
  await assertFails(body.drain(), "closed", "in the middle of a body");
});

Deno.test("IncomingBody.md5 is known in front, or behind, or for an empty body at once", async () => {
  const front = await frameOf(message(`{"md5":"${ABC_MD5}","total_size":3}`, "abc"));
  assertEquals(front.body.md5, ABC_MD5);
  const behind = await frameOf(
    message('{"total_size":3}', "abc"),
    message(`{"end":true,"md5":"${ABC_MD5}","size":3}`),
  );
  assertEquals(behind.body.md5, null);
  await receive(behind.body, new Collector());
  assertEquals(behind.body.md5, ABC_MD5);
  const empty = await frameOf(message("{}"));
  assertEquals([empty.body.md5, empty.body.ended], [EMPTY_MD5, true]);
});

Deno.test("receive() tells both md5s where they differ", async () => {
  const { body } = await frameOf(message(`{"md5":"${EMPTY_MD5}","total_size":3}`, "abc"));
  await assertFails(
    receive(body, new Collector()),
    "checksum_mismatch",
    `the md5 of the 3 bytes that came is ${ABC_MD5}, the sender says ${EMPTY_MD5}`,
  );
});

Deno.test("receive() finds one wrong bit in a body of several pieces", async () => {
  const body = Uint8Array.from({ length: 3 * 1024 * 1024 + 7 }, (_, i) => (i * 31) >>> 3);
  const header = message(`{"md5":"${md5Of(body)}","total_size":${body.length}}`);
  const sink = new Collector();
  const good = await frameOf(header, body);
  assertEquals((await receive(good.body, sink)).size, body.length);
  assertEquals(md5Of(sink.bytes), md5Of(body));
  const bad = body.slice();
  bad[2 * 1024 * 1024]! ^= 1;
  const frame = await frameOf(header, bad);
  await assertFails(receive(frame.body, new Collector()), "checksum_mismatch");
});

Deno.test("receive() tells of every byte", async () => {
  const wire = wireOver(...inBytes(message(`{"md5":"${ABC_MD5}","total_size":3}`, "abc")));
  const counts: number[] = [];
  const { body } = (await wire.readFrame())!;
  await receive(body, new Collector(), { onBytes: (count) => counts.push(count) });
  assertEquals(counts, [1, 1, 1]);
});

Deno.test("receive() fails as its sink does, for small bodies and large ones", async () => {
  const full = () => Promise.reject(new FerryError("no_space", "it is full"));
  for (const size of [10, 3 * 1024 * 1024]) {
    const header = message(JSON.stringify({ md5: EMPTY_MD5, total_size: size }));
    const { body } = await frameOf(header, new Uint8Array(size));
    await assertFails(receive(body, { write: full }), "no_space");
  }
});

/** A source of bytes in memory that gives a few at a time. */
function sourceOf(bytes: Uint8Array, piece = 100_000): ByteSource {
  let done = 0;
  return {
    read(into) {
      const part = bytes.subarray(done, done + Math.min(into.length, piece));
      into.set(part);
      done += part.length;
      return Promise.resolve(part.length || null);
    },
  };
}

Deno.test("sendSized() puts a known md5 in front, and sends the rest in one write", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const source = sourceOf(utf8.encode("abc"));
  await sendSized(wire, { op: "put" }, source, { size: 3, md5: ABC_MD5 });
  await wire.flush();
  assertEquals(stream.writes.length, 1);
  assertEquals(stream.written, message(`{"op":"put","md5":"${ABC_MD5}","total_size":3}`, "abc"));
});

Deno.test("sendSized() puts an unknown md5 behind, but not behind an empty body", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const header = { filename: "f" };
  const sent = await sendSized(wire, header, sourceOf(utf8.encode("abc")), { size: 3, md5: null });
  assertEquals(sent, { md5: ABC_MD5, size: 3 });
  await sendSized(wire, header, sourceOf(new Uint8Array()), { size: 0, md5: null });
  await wire.flush();
  assertEquals(
    stream.written,
    concat([
      message('{"filename":"f","md5":null,"total_size":3}', "abc"),
      message(`{"end":true,"filename":"f","md5":"${ABC_MD5}","size":3}`),
      message('{"filename":"f","md5":null,"total_size":0}'),
    ]),
  );
});

Deno.test("sendSized() overwrites no piece that is still being written", async () => {
  const body = Uint8Array.from({ length: 5 * 512 * 1024 }, (_, i) => (i * 31) >>> 7);
  const taken: Uint8Array[] = [];
  const slow = new MemoryStream();
  slow.write = async (bytes) => {
    // What it was given is looked at only after others have had their turn.
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    taken.push(bytes.slice());
    return bytes.length;
  };
  const wire = new Wire(slow, { idleTimeout: IDLE });
  const { md5 } = await sendSized(wire, {}, sourceOf(body), { size: body.length, md5: null });
  await wire.flush();
  assertEquals(md5, md5Of(body));
  const { received, code } = await readAll(wireOver(...taken));
  assertEquals([received[0]?.md5, code], [md5, undefined]);
});

Deno.test("sendSized() sends no more than it announced of a source that grew", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  await sendSized(wire, {}, sourceOf(utf8.encode("abcdef")), { size: 3, md5: ABC_MD5 });
  await wire.flush();
  const { received, code } = await readAll(wireOver(stream.written));
  assertEquals([received[0]?.size, code], [3, undefined]);
});

Deno.test("sendSized() ends its direction where the source is shorter than announced", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const size = 3_000_000;
  const source = sourceOf(new Uint8Array(size - 1));
  await assertFails(sendSized(wire, {}, source, { size, md5: null }), "io", "it shrank");
  assertEquals([wire.writable, wire.closed], [false, false]);
  assert(stream.calls.includes("closeWrite"));
  // The peer sees a body that is cut off, and neither padding nor a message behind it.
  const { received, code, ends } = await readAll(wireOver(stream.written));
  assertEquals([received.length, code, ends], [0, "closed", true]);
});

Deno.test("sendSized() reports a source that changed in the closing header", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const source: ByteSource = {
    ...sourceOf(utf8.encode("abc")),
    assertUnchanged: () => Promise.reject(new FerryError("io", "it changed while it was sent")),
  };
  await assertFails(sendSized(wire, {}, source, { size: 3, md5: null }), "io", "it changed");
  assert(wire.writable, "the connection can go on");
  await wire.writeFrame({ op: "ping" });
  await wire.flush();
  const peer = wireOver(stream.written);
  const { code, ends } = await readAll(peer);
  assertEquals([code, ends], ["io", false]);
  assertEquals((await readAll(peer)).received[0]?.header.op, "ping");
});

Deno.test("sendSized() stops between two pieces where it is told to", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const size = 5 * 1024 * 1024;
  let asked = 0;
  let told = 0;
  const sending = sendSized(wire, {}, sourceOf(new Uint8Array(size), 1024 * 1024), {
    size,
    md5: EMPTY_MD5,
    onBytes: (count) => told += count,
    stop: () => ++asked === 3 ? new FerryError("exists", "refused") : undefined,
  });
  await assertFails(sending, "exists", "refused");
  assertEquals(told, 2 * 1024 * 1024);
  assert(stream.written.length < size);
  assert(!wire.writable);
});

Deno.test("sendSized() fails as its source does", async () => {
  const wire = new Wire(new MemoryStream(), { idleTimeout: IDLE });
  const source = { read: () => Promise.reject(new FerryError("io", "a bad sector")) };
  await assertFails(sendSized(wire, {}, source, { size: 3, md5: null }), "io", "a bad sector");
  assert(!wire.writable);
});

Deno.test("sendStreamed() leaves out empty pieces and closes with the md5 of all", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const pieces = ["ab", "", "c"].map((piece) => utf8.encode(piece));
  await sendStreamed(wire, { filename: "f" }, ReadableStream.from(pieces));
  await wire.flush();
  assertEquals(
    stream.written,
    concat([
      message('{"filename":"f","md5":null,"total_size":null}'),
      message('{"total_size":2}', "ab"),
      message('{"total_size":1}', "c"),
      message(`{"end":true,"filename":"f","md5":"${ABC_MD5}","size":3}`),
    ]),
  );
});

Deno.test("sendStreamed() reports a failing source in the closing header", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const failing = (async function* () {
    yield await Promise.resolve(utf8.encode("ab"));
    throw new FerryError("io", "the pipe broke");
  })();
  await assertFails(sendStreamed(wire, {}, failing), "io", "the pipe broke");
  await wire.flush();
  const peer = wireOver(stream.written);
  const { body } = (await peer.readFrame())!;
  await assertFails(receive(body, new Collector()), "io", "the pipe broke");
  assert(body.ended);
});
