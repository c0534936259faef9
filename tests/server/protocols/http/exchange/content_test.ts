import { assert, assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../../../lib/core/errors.ts";
import type { ByteSource } from "../../../../../lib/core/bytes.ts";
import { createRuntime } from "../../../../../lib/runtime/runtime.ts";
import type { Permit } from "../../../../../server/auth/permit.ts";
import { OneExchange } from "../../../../support/one_exchange.ts";
import { conversation } from "../../../../support/raw_http.ts";
import { RawPeer } from "../../../../support/raw_peer.ts";

const GET = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const HEAD = GET.replace("GET", "HEAD");

/** Bytes that differ from their neighbours. */
const bytesOf = (size: number) => new Uint8Array(size).map((_, i) => (i * 31) >>> 3);

/** A source of bytes that gives so many at a time at most. */
function sourceOf(bytes: Uint8Array, most = Infinity): ByteSource & { reads: number } {
  let at = 0;
  return {
    reads: 0,
    read(into) {
      this.reads++;
      const piece = bytes.subarray(at, at + Math.min(into.length, most));
      into.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
  };
}

/** Pieces whose memory is overwritten when the next one is asked for. */
async function* reused(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  for (const piece of pieces) {
    const memory = piece.slice();
    yield await Promise.resolve(memory);
    memory.fill(0xee);
  }
}

for (const size of [0, 1, 65_536, 262_144, 262_145, 3_000_000]) {
  for (const most of [Infinity, 10_007]) {
    Deno.test(`stream() sends ${size} bytes with their length, read by ${most}`, async () => {
      const bytes = bytesOf(size);
      await using door = await OneExchange.start((exchange) =>
        exchange.stream(200, {}, sourceOf(bytes, most), { size })
      );
      const [response] = await conversation(door.port, GET);
      assertEquals(response!.headers["content-length"], String(size));
      assertEquals(response!.body, bytes);
      await door.handled;
    });
  }
}

Deno.test("stream() sends what it has with little memory", async () => {
  const bytes = bytesOf(300_000);
  const runtime = createRuntime({ bufferBytes: 0 });
  await using door = await OneExchange.start(
    (exchange) => exchange.stream(200, {}, sourceOf(bytes), { size: bytes.length }),
    runtime,
  );
  const [response] = await conversation(door.port, GET);
  assertEquals(response!.body, bytes);
});

Deno.test("stream() returns its memory, whatever happens", async () => {
  const runtime = createRuntime();
  const { left } = runtime.buffers;
  const gone = Promise.withResolvers<void>();
  await using door = await OneExchange.start((exchange) => {
    exchange.connection.socket.once("close", () => gone.resolve());
    return exchange.stream(200, {}, sourceOf(bytesOf(1), 1), { size: 2 ** 40 });
  }, runtime);
  await conversation(door.port, GET).catch(() => {});
  await gone.promise;
  await door.handled.catch(() => {});
  assertEquals(runtime.buffers.left, left);
});

Deno.test("stream() sends content of unknown size in chunks, and puts small pieces together", async () => {
  const pieces = [...Array(1000).fill(bytesOf(7)), bytesOf(100_000), bytesOf(3), bytesOf(0)];
  await using door = await OneExchange.start((exchange) =>
    exchange.stream(200, { "content-type": "x/y" }, reused(pieces))
  );
  using peer = await RawPeer.connect(door.port);
  await peer.send(GET);
  const received = await peer.readAll();
  const chunks = new TextDecoder("latin1").decode(received).match(/\r\n[0-9a-f]+\r\n/g);
  assert(chunks!.length < 8, `${chunks}`);
  const [response] = await conversation(door.port, GET);
  assertEquals(response!.headers["transfer-encoding"], "chunked");
  assertEquals(response!.body, new Uint8Array(pieces.flatMap((piece) => [...piece])));
});

Deno.test("stream() sends all of a source of unknown size", async () => {
  const bytes = bytesOf(700_000);
  await using door = await OneExchange.start((exchange) =>
    exchange.stream(200, {}, sourceOf(bytes))
  );
  const [response] = await conversation(door.port, GET);
  assertEquals(response!.body, bytes);
});

Deno.test("stream() answers a HEAD by the header alone, and reads nothing", async () => {
  const source = sourceOf(bytesOf(5));
  await using door = await OneExchange.start((exchange) =>
    exchange.stream(200, {}, source, { size: 5 })
  );
  const [response] = await conversation(door.port, HEAD, { methods: ["HEAD"] });
  assertEquals(response!.headers["content-length"], "5");
  assertEquals(source.reads, 0);
});

/** Ways in which content turns out to be another than announced. */
const FLAWS: Readonly<Record<string, (exchange: Parameters<typeof send>[0]) => Promise<void>>> = {
  "is shorter than announced": (exchange) => send(exchange, sourceOf(bytesOf(1000)), 1001),
  "in pieces is shorter than announced": (exchange) => send(exchange, reused([bytesOf(9)]), 10),
  "in pieces is longer than announced": (exchange) => send(exchange, reused([bytesOf(9)]), 8),
  "has changed meanwhile": (exchange) =>
    send(exchange, { ...sourceOf(bytesOf(9)), assertUnchanged: () => Promise.reject(CHANGED) }, 9),
  "of unknown size has changed meanwhile": (exchange) =>
    send(exchange, { ...sourceOf(bytesOf(9)), assertUnchanged: () => Promise.reject(CHANGED) }),
};

const CHANGED = new FerryError("io", "it has changed");

type StreamedBy = { stream: (...args: never[]) => Promise<void> };

function send(exchange: StreamedBy, content: unknown, size?: number): Promise<void> {
  return exchange.stream(...[200, {}, content, { size }] as never[]);
}

for (const [what, flawed] of Object.entries(FLAWS)) {
  Deno.test(`a client does not take for whole what ${what}`, async () => {
    await using door = await OneExchange.start(flawed);
    await assertRejects(async () => {
      const responses = await conversation(door.port, GET);
      if (responses.length === 0) throw new Error("nothing was sent");
    }, Error);
    const { code } = await assertRejects(() => door.handled, FerryError);
    assertEquals(code, "io");
  });
}

Deno.test("stream() fails before anything is sent if nothing can be read", async () => {
  await using door = await OneExchange.start(async (exchange) => {
    const read = () => Promise.reject(CHANGED);
    await assertRejects(() => exchange.stream(200, {}, { read }, { size: 5 }), FerryError);
    await assertRejects(() => exchange.stream(200, {}, { read }), FerryError);
    exchange.send(418);
  });
  const [response] = await conversation(door.port, GET);
  assertEquals(response!.status, 418);
});

Deno.test("stream() ends the connection when the permit ends", async () => {
  const { promise: reading, resolve: read } = Promise.withResolvers<void>();
  let end: (error: FerryError) => void = () => {};
  const permit = {
    onEnd(tell: typeof end) {
      end = tell;
      return { [Symbol.dispose]() {} };
    },
  } as unknown as Permit;
  await using door = await OneExchange.start((exchange) => {
    const never = { read: () => (read(), Promise.resolve(1)) };
    return exchange.stream(200, {}, never, { size: 2 ** 40, permit });
  });
  const told = assertRejects(() => door.handled, FerryError);
  using peer = await RawPeer.connect(door.port);
  await peer.send(GET);
  await reading;
  end(new FerryError("auth_required", "the token was taken back"));
  await peer.readAll().catch(() => {});
  assertEquals((await told).code, "auth_required");
});
