import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { md5Of } from "../../support/digests.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { sendSized, sendStreamed } from "../../../lib/transfer/send.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import fc from "../../support/properties.ts";
import { BAD, bytesOf, concat, GOOD, meaningOf, message } from "../../support/vectors.ts";
import {
  assertFails,
  IDLE,
  inBytes,
  ManualClock,
  MemoryStream,
  readAll,
  sourceOf,
  utf8,
  wireOver,
} from "../../support/memory_stream.ts";

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
      const sender = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
      new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }).readFrame(),
      "bad_header",
      `the header's length is ${length}; it must be 2 to 65536`,
    );
    // It neither waits for what was announced nor offers more room than for any first read.
    assertEquals(stream.rooms, [1024]);
  }
});

Deno.test("Wire.readFrame() makes no more room than the longest header needs", async () => {
  const longest = `{"x":"${"a".repeat(65536 - 8)}"}`;
  const stream = new MemoryStream(inBytes(message(longest)));
  assert(await new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }).readFrame());
  const largest = Math.max(...stream.rooms);
  assert(largest <= 4 + 65536, `a read offered ${largest} bytes`);
});

Deno.test("Wire.writeFrame() sends a header and a small body in one write", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  await wire.writeFrame({ total_size: 3 }, utf8.encode("abc"));
  assertEquals(stream.writes.length, 0);
  await wire.flush();
  assertEquals(stream.writes.map((bytes) => encodeHex(bytes)), [
    encodeHex(message('{"total_size":3}', "abc")),
  ]);
});

Deno.test("Wire.writeFrame() gathers several small messages in one write", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  for (let i = 0; i < 3; i++) await wire.writeFrame({ i });
  await wire.flush();
  await wire.flush();
  assertEquals(stream.writes.length, 1);
  assertEquals(
    stream.written,
    concat([message('{"i":0}'), message('{"i":1}'), message('{"i":2}')]),
  );
});

Deno.test("Wire.readFrame() times out where the peer sends nothing", async () => {
  // A real timer: the one test that waits for it.
  const stream = new MemoryStream([message("{}").subarray(0, 3)], { silent: true });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: 20 });
  await assertFails(wire.readFrame(), "timeout", "the peer sent nothing for 0.02 s");
  assert(wire.closed);
  await assertFails(wire.readFrame(), "timeout");
  await assertFails(wire.writeFrame({}).then(() => wire.flush()), "timeout");
});

Deno.test("Wire.readFrame() starts the idle time anew with each byte, and leaves no timer behind", async () => {
  using clock = new ManualClock();
  const slowly = function* (): Generator<Uint8Array> {
    for (const byte of inBytes(message('{"op":"ping"}'))) {
      clock.advance(4999);
      yield byte;
    }
  };
  const wire = new Wire(new MemoryStream(slowly()), { runtime: RUNTIME, idleTimeout: 5000 });
  assertEquals((await wire.readFrame())?.header.op, "ping");
  assertEquals(clock.pending, 0);
});

Deno.test("Wire.readFrame() asks for the idle time anew each time", async () => {
  using clock = new ManualClock();
  let idleTimeout = 1000;
  const stream = new MemoryStream([message("{}")], { silent: true });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: () => idleTimeout });
  assert(await wire.readFrame());
  idleTimeout = 3000;
  const reading = wire.readFrame();
  clock.advance(2999);
  assert(!wire.closed);
  clock.advance(1);
  await assertFails(reading, "timeout", "the peer sent nothing for 3 s");
});

Deno.test("Wire.readFrame() says why there is none any more, whatever was left unread", async () => {
  const wire = wireOver(message('{"total_size":3}', "abc"));
  await wire.readFrame();
  wire.close(new FerryError("denied", "enough"));
  await assertFails(wire.readFrame(), "denied", "enough");
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
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const headers = Array.from({ length: 5 }, (_, n) => ({ status: "ok", n }));
  const body = new Uint8Array(100_000).fill(1);
  const flushes: Promise<void>[] = [];
  for (const header of headers) {
    await wire.writeFrame(header);
    flushes.push(wire.flush());
  }
  await wire.write(body);
  await wire.flush();
  await Promise.all(flushes);
  const messages = headers.map((header) => message(JSON.stringify(header)));
  assertEquals(concat(written), concat([...messages, body]));
});

Deno.test("Wire.hasHeader() tells whether a next header need not be waited for", async () => {
  const ping = message('{"op":"ping"}');
  const whole = wireOver(concat([ping, ping]));
  assertEquals(whole.hasHeader(), false);
  await whole.readFrame();
  assertEquals(whole.hasHeader(), true);
  await whole.readFrame();
  assertEquals(whole.hasHeader(), false);
  const cut = wireOver(concat([ping, ping.subarray(0, -1)]));
  await cut.readFrame();
  assertEquals(cut.hasHeader(), false);
  // That it is wrong is known at once.
  const wrong = wireOver(concat([ping, Uint8Array.of(0xff, 0xff, 0xff, 0xff)]));
  await wrong.readFrame();
  assertEquals(wrong.hasHeader(), true);
});
