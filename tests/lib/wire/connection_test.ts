import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { md5Of } from "../../support/digests.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import { concat, message } from "../../support/vectors.ts";
import {
  assertFails,
  IDLE,
  inBytes,
  ManualClock,
  MemoryStream,
  text,
  utf8,
} from "../../support/memory_stream.ts";

Deno.test("Wire.write() sends everything however little a write takes", async () => {
  const body = Uint8Array.from({ length: 150_000 }, (_, i) => i % 251);
  for (const takes of [1000, 65536, Infinity]) {
    const stream = new MemoryStream([], { takes });
    const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
    await wire.writeFrame({ total_size: body.length });
    for (const [start, end] of [[0, 3], [3, 100_000], [100_000, 150_000]]) {
      const piece = body.slice(start, end);
      await wire.write(piece);
      // What was given may be overwritten afterwards.
      piece.fill(0xff);
    }
    await wire.flush();
    assertEquals(md5Of(stream.written), md5Of(message('{"total_size":150000}', body)));
  }
});

Deno.test("Wire.write() sends everything where a write takes three bytes", async () => {
  const stream = new MemoryStream([], { takes: 3 });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: 1000, pace });
  await wire.write(new Uint8Array(250));
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

Deno.test("Wire.flush() times out where the peer takes nothing", async () => {
  using clock = new ManualClock();
  const wire = new Wire(new MemoryStream([], { takes: 0 }), {
    runtime: RUNTIME,
    idleTimeout: 5000,
  });
  await wire.writeFrame({});
  const flushing = wire.flush();
  clock.advance(5000);
  await assertFails(flushing, "timeout", "the peer took nothing for 5 s");
  assert(!wire.writable);
});

Deno.test("Wire.hold() keeps reads from timing out until it is disposed of", async () => {
  using clock = new ManualClock();
  const wire = new Wire(new MemoryStream([], { silent: true }), {
    runtime: RUNTIME,
    idleTimeout: 1000,
  });
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
    const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  using _watch = wire.watch(() => assert(false, "nothing has ended"));
  for (let before = -1; before !== size;) {
    before = size;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertEquals(size, 256 * 1024);
});

Deno.test("Wire.watch() may be begun while another read ahead is under way", async () => {
  const stream = new MemoryStream([], { silent: true });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
  const wire = new Wire(new MemoryStream([], { takes: 0 }), {
    runtime: RUNTIME,
    idleTimeout: 1000,
  });
  using _hold = wire.hold();
  await wire.writeFrame({});
  const flushing = wire.flush();
  clock.advance(1000);
  await assertFails(flushing, "timeout");
});

Deno.test("Wire.close() fails what is under way with its reason", async () => {
  const stream = new MemoryStream([], { silent: true });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const reading = wire.readFrame();
  wire.close(new FerryError("busy", "the server is full"));
  await assertFails(reading, "busy", "the server is full");
  wire.close(new FerryError("io", "another reason"));
  await assertFails(wire.readFrame(), "busy");
  assertEquals(stream.calls, ["read", "close"]);
});

Deno.test("Wire.close() without a reason is closed", async () => {
  const wire = new Wire(new MemoryStream([], { silent: true }), {
    runtime: RUNTIME,
    idleTimeout: IDLE,
  });
  const reading = wire.readFrame();
  wire.close();
  await assertFails(reading, "closed");
});

Deno.test("Wire.endWrites() ends one direction and leaves the other", async () => {
  const stream = new MemoryStream([message('{"status":"ok"}')]);
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  await wire.writeFrame({ status: "ok" });
  await wire.closeGracefully();
  assertEquals(stream.calls, ["write", "closeWrite", "read", "read", "read", "close"]);
  assertEquals(text(stream.written.subarray(4)), '{"status":"ok"}');
});

Deno.test("Wire.closeGracefully() waits two seconds and no longer", async () => {
  using clock = new ManualClock();
  const stream = new MemoryStream([], { silent: true });
  const closing = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }).closeGracefully();
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
  const wire = new Wire(await accepting, { runtime: RUNTIME, idleTimeout: IDLE });
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
