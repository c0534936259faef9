import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { md5Of } from "../../support/digests.ts";
import { emptyChecksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { receive, sendSized, sendStreamed } from "../../../lib/transfer/transfer.ts";
import { MAX_DRAIN_BYTES, Wire } from "../../../lib/wire/wire.ts";
import fc from "../../support/properties.ts";
import { BAD, bytesOf, concat, GOOD, meaningOf, message } from "../../support/vectors.ts";
import {
  ABC_MD5,
  assertFails,
  Collector,
  frameOf,
  IDLE,
  inBytes,
  ManualClock,
  MemoryStream,
  readAll,
  sourceOf,
  text,
  utf8,
  wireOver,
} from "../../support/memory_stream.ts";

const EMPTY_MD5 = emptyChecksum("md5");

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
        if (body.hex !== undefined) assertEquals(encodeHex(bytes), body.hex, name);
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
        const options = { size: bytes.length, checksum: kind === "in front" ? md5Of(bytes) : null };
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
        received.map(({ header, bytes }) => [header.filename, encodeHex(bytes)]),
        sent.map(({ kind, pieces }) => [kind, encodeHex(concat(pieces))]),
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
    assertEquals(stream.rooms, [1024]);
  }
});

Deno.test("IncomingBody.read() has no buffer of its own wait for what comes slowly", async () => {
  const piece = new Uint8Array(100);
  const stream = new MemoryStream([message('{"total_size":4096}'), piece, piece, piece], {
    silent: true,
  });
  const { body } = (await new Wire(stream, { idleTimeout: IDLE }).readFrame())!;
  const into = new Uint8Array(4096);
  for (let filled = 0; filled < 300;) filled += await body.read(into.subarray(filled));
  // After the header each read goes to where the bytes are wanted.
  assertEquals(stream.rooms, [1024, 4096, 3996, 3896]);
});

Deno.test("IncomingBody.read() reads ahead where more is waiting", async () => {
  const body = "a".repeat(1000);
  const header = `{"md5":"${md5Of(utf8.encode(body))}","total_size":1000}`;
  const many = Array.from({ length: 100 }, () => message(header, body));
  const stream = new MemoryStream([concat(many)]);
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const into = new Uint8Array(1000);
  for (let i = 0; i < many.length; i++) {
    const { body } = (await wire.readFrame())!;
    for (let filled = 0; filled < 1000;) filled += await body.read(into.subarray(filled));
  }
  assert(stream.rooms.length < 20, `${stream.rooms.length} reads`);
});

Deno.test("Wire.readFrame() makes no more room than the longest header needs", async () => {
  const longest = `{"x":"${"a".repeat(65536 - 8)}"}`;
  const stream = new MemoryStream(inBytes(message(longest)));
  assert(await new Wire(stream, { idleTimeout: IDLE }).readFrame());
  const largest = Math.max(...stream.rooms);
  assert(largest <= 4 + 65536, `a read offered ${largest} bytes`);
});

Deno.test("Wire.writeFrame() sends a header and a small body in one write", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { idleTimeout: IDLE });
  await wire.writeFrame({ total_size: 3 }, utf8.encode("abc"));
  assertEquals(stream.writes.length, 0);
  await wire.flush();
  assertEquals(stream.writes.map((bytes) => encodeHex(bytes)), [
    encodeHex(message('{"total_size":3}', "abc")),
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

Deno.test("Wire waits for its pace once for each byte, however little is moved at once, and outside of the idle time", async () => {
  using clock = new ManualClock();
  const taken: number[] = [];
  let turn = Promise.withResolvers<void>();
  const pace = {
    pieceBytes: 100,
    take(count: number) {
      taken.push(count);
      return turn.promise;
    },
  };
  const stream = new MemoryStream([message('{"a":1}')], { takes: 30 });
  const wire = new Wire(stream, { idleTimeout: 1000, pace });
  await wire.writeBytes(new Uint8Array(250));
  const flushing = wire.flush();
  clock.advance(5000);
  assertEquals([taken, clock.pending], [[100], 0]);
  turn.resolve();
  await flushing;
  assertEquals(taken, [100, 100, 50]);
  assertEquals(stream.written.length, 250);
  turn = Promise.withResolvers();
  const reading = wire.readFrame();
  await Promise.resolve();
  clock.advance(5000);
  turn.resolve();
  assertEquals((await reading)?.header.a, 1);
  assertEquals(taken.slice(3), [message('{"a":1}').length]);
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
  clock.advance(900);
  second[Symbol.dispose]();
  clock.advance(999);
  assert(!wire.closed, "the whole idle time begins with the end of the hold");
  clock.advance(1001);
  await assertFails(reading, "timeout");
});

Deno.test("Wire.watch() tells when the peer ends, and keeps what it sent for later", async () => {
  for (const silent of [false, true]) {
    const two = concat([message('{"a":1}'), message('{"a":2}')]);
    const stream = new MemoryStream(inBytes(two), { silent });
    const wire = new Wire(stream, { idleTimeout: IDLE });
    const ended = Promise.withResolvers<void>();
    const watch = wire.watch(() => ended.resolve());
    if (silent) wire.close();
    await ended.promise;
    watch[Symbol.dispose]();
    if (silent) continue;
    assertEquals((await wire.readFrame())?.header.a, 1);
    assertEquals((await wire.readFrame())?.header.a, 2);
    assertEquals([await wire.readFrame(), await wire.readFrame()], [null, null]);
  }
});

Deno.test("Wire.watch() leaves its read to who reads next", async () => {
  const waiting = Promise.withResolvers<void>();
  const whole = message(
    '{"total_size":300000,"md5":"' + "0".repeat(32) + '"}',
    new Uint8Array(300_000),
  );
  const stream = new MemoryStream([whole]);
  const read = stream.read.bind(stream);
  stream.read = async (buffer) => {
    await waiting.promise;
    return await read(buffer);
  };
  const wire = new Wire(stream, { idleTimeout: IDLE });
  let told = false;
  wire.watch(() => told = true)[Symbol.dispose]();
  const reading = wire.readFrame();
  waiting.resolve();
  const frame = await reading;
  let size = 0;
  const piece = new Uint8Array(100_000);
  for (let count; (count = await frame!.body.read(piece)) > 0;) size += count;
  assertEquals([size, told], [300_000, false]);
});

Deno.test("Wire.watch() reads no more than there is room for", async () => {
  const flood = function* () {
    for (;;) yield new Uint8Array(100_000);
  };
  const stream = new MemoryStream(flood());
  const read = stream.read.bind(stream);
  let size = 0;
  stream.read = async (buffer) => {
    const count = await read(buffer);
    size += count ?? 0;
    return count;
  };
  const wire = new Wire(stream, { idleTimeout: IDLE });
  using _watch = wire.watch(() => assert(false, "nothing has ended"));
  for (let before = -1; before !== size;) {
    before = size;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertEquals(size, 256 * 1024);
});

Deno.test("Wire.watch() may be begun while another read ahead is under way", async () => {
  const stream = new MemoryStream([], { silent: true });
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const told: number[] = [];
  wire.watch(() => told.push(1))[Symbol.dispose]();
  using _watch = wire.watch(() => told.push(2));
  assertEquals(stream.rooms.length, 1);
  wire.close();
  await assertFails(wire.readFrame(), "closed");
  assertEquals(told, [2]);
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

Deno.test("Wire.readFrame() says why there is none any more, whatever was left unread", async () => {
  const wire = wireOver(message('{"total_size":3}', "abc"));
  await wire.readFrame();
  wire.close(new FerryError("denied", "enough"));
  await assertFails(wire.readFrame(), "denied", "enough");
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
  await assertFails(
    receive(RUNTIME, body, new Collector()),
    "bad_header",
    "a closing header was expected",
  );
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

Deno.test("IncomingBody.checksum is known in front, or behind, or for an empty body at once", async () => {
  const front = await frameOf(message(`{"md5":"${ABC_MD5}","total_size":3}`, "abc"));
  assertEquals(front.body.checksum, ABC_MD5);
  const behind = await frameOf(
    message('{"total_size":3}', "abc"),
    message(`{"end":true,"md5":"${ABC_MD5}","size":3}`),
  );
  assertEquals(behind.body.checksum, null);
  await receive(RUNTIME, behind.body, new Collector());
  assertEquals(behind.body.checksum, ABC_MD5);
  const empty = await frameOf(message("{}"));
  assertEquals([empty.body.checksum, empty.body.ended], [EMPTY_MD5, true]);
});

Deno.test("Wire.writeFrame() may follow a flush that is under way; all leaves whole and in its order", async () => {
  const stream = new MemoryStream();
  const written: Uint8Array[] = [];
  let busy = false;
  // It takes a part of what it is given, and its time.
  stream.write = async (bytes) => {
    assert(!busy, "two writes at once");
    busy = true;
    await new Promise((resolve) => setTimeout(resolve));
    busy = false;
    written.push(bytes.slice(0, Math.max(1, Math.min(bytes.length, 30_000) - 5)));
    return written.at(-1)!.length;
  };
  const wire = new Wire(stream, { idleTimeout: IDLE });
  const headers = Array.from({ length: 5 }, (_, n) => ({ status: "ok", n }));
  const body = new Uint8Array(100_000).fill(1);
  const flushes: Promise<void>[] = [];
  for (const header of headers) {
    await wire.writeFrame(header);
    flushes.push(wire.flush());
  }
  await wire.writeBytes(body);
  await wire.flush();
  await Promise.all(flushes);
  const messages = headers.map((header) => message(JSON.stringify(header)));
  assertEquals(concat(written), concat([...messages, body]));
});
