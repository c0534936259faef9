import { assert, assertEquals } from "@std/assert";
import { zstdCompressSync } from "node:zlib";
import { FerryError } from "../../../lib/core/errors.ts";
import { Compressor } from "../../../lib/compression/zstd.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import {
  decodePieceHeader,
  encodePieceHeader,
  PIECE_HEADER_BYTES,
  type PieceHeader,
} from "../../../lib/wire/piece_header.ts";
import { IDLE_MS, PieceWriter } from "../../../lib/wire/piece_writer.ts";
import {
  assertFails,
  IDLE,
  inBytes,
  ManualClock,
  MemoryStream,
  type MemoryStreamOptions,
  readAll,
} from "../../support/memory_stream.ts";
import { randomBytes } from "../../support/random_file.ts";
import { RUNTIME } from "../../support/runtime.ts";
import { concat, message } from "../../support/vectors.ts";
import { md5 } from "../../support/bytes.ts";

type Kind = PieceHeader["kind"];

/** Text that shrinks. */
function lines(count: number, seed = 7919): Uint8Array {
  const text = Array.from({ length: count }, (_, line) => `line ${line * seed % 10_007}\n`).join(
    "",
  );
  return new TextEncoder().encode(text);
}

/** A wire that is compressed. */
async function compressed(
  segments: Iterable<Uint8Array> = [],
  { tellsIdle = false, ...options }: MemoryStreamOptions & { tellsIdle?: boolean } = {},
): Promise<{ wire: Wire; stream: MemoryStream }> {
  const stream = new MemoryStream(segments, options);
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  await wire.compress(3, { tellsIdle });
  return { wire, stream };
}

/** The pieces that bytes consist of. */
function piecesIn(bytes: Uint8Array): PieceHeader[] {
  const pieces: PieceHeader[] = [];
  for (let at = 0; at < bytes.length;) {
    const piece = decodePieceHeader(bytes.subarray(at, at + PIECE_HEADER_BYTES));
    pieces.push(piece);
    at += PIECE_HEADER_BYTES + piece.size;
  }
  return pieces;
}

/** A piece, whatever it contains. */
function piece(kind: Kind, content: number, bytes: Uint8Array): Uint8Array {
  const header = new Uint8Array(PIECE_HEADER_BYTES);
  encodePieceHeader({ kind, content, size: bytes.length }, header);
  return concat([header, bytes]);
}

/** The beginning of a frame of zstd. */
async function beginning(content: Uint8Array): Promise<Uint8Array> {
  const compressor = new Compressor(3);
  const parts = await compressor.compress(content);
  compressor.close();
  return concat(parts);
}

Deno.test("Wire.compress() gives the peer the same messages, however they are cut", async () => {
  const bodies = [
    lines(3),
    lines(20_000),
    randomBytes(100_000),
    lines(20_000),
    new Uint8Array(2_000_000),
    randomBytes(50),
  ];
  for (const takes of [3000, Infinity]) {
    const { wire, stream } = await compressed([], { takes });
    for (const body of bodies) {
      await wire.writeFrame({ md5: md5(body), total_size: body.length });
      await wire.write(body);
      await wire.flush();
    }
    wire.close();
    const all = stream.written;
    const bytes = bodies.reduce((sum, { length }) => sum + length, 0);
    assert(all.length < bytes / 2, `${all.length} of ${bytes}`);
    const cuts = takes === 3000 ? [inBytes(all)] : [[all], stream.writes];
    for (const segments of cuts) {
      const { wire: peer, stream: line } = await compressed(segments);
      const { received, code } = await readAll(peer);
      assertEquals(code, undefined);
      assertEquals(received.map(({ md5 }) => md5), bodies.map(md5));
      assertEquals(line.bytesRead, all.length);
      peer.close();
    }
  }
});

Deno.test("Wire.compress() treats what follows the last message as pieces, also what has come already", async () => {
  const { wire, stream } = await compressed();
  await wire.writeFrame({ total_size: 0, md5: md5(new Uint8Array()) });
  await wire.flush();
  wire.close();
  const hello = message('{"op":"hello"}');
  const line = new MemoryStream([concat([hello, stream.written])]);
  const peer = new Wire(line, { runtime: RUNTIME, idleTimeout: IDLE });
  assertEquals((await peer.readFrame())?.header.op, "hello");
  await peer.compress(3, { tellsIdle: false });
  const { received, code } = await readAll(peer);
  assertEquals([received.length, code], [1, undefined]);
});

Deno.test("A short message goes out as it is, and a long one compressed", async () => {
  const { wire, stream } = await compressed();
  await wire.writeFrame({ op: "ping" });
  await wire.flush();
  await wire.write(lines(1000));
  await wire.flush();
  await wire.write(lines(40));
  await wire.flush();
  await wire.write(lines(10));
  await wire.flush();
  const kinds = piecesIn(stream.written).map(({ kind }) => kind);
  assertEquals(kinds, ["raw", "first", "next", "raw"]);
  // A header and its content go out together.
  assertEquals(stream.writes.length, 4);
  wire.close();
});

Deno.test("What does not shrink goes as it is, and compression is tried again less often", async () => {
  const { wire, stream } = await compressed();
  const random = randomBytes(32 * 1024 * 1024);
  await wire.write(random);
  await wire.flush();
  const pieces = piecesIn(stream.written);
  const tried = pieces.filter(({ kind }) => kind !== "raw");
  const content = tried.reduce((sum, { content }) => sum + content, 0);
  assert(content < random.length / 16, `${content} bytes were tried`);
  assert(tried.length >= 5, `${tried.length} pieces were tried`);
  assert(stream.written.length < random.length * 1.001);
  // What shrinks again is found within some MiB.
  const before = stream.written.length;
  await wire.write(new Uint8Array(32 * 1024 * 1024));
  await wire.flush();
  assert(stream.written.length - before < 9 * 1024 * 1024);
  wire.close();
});

Deno.test("After a while in which nothing was compressed, a side begins anew, and may tell the peer", async () => {
  for (const tellsIdle of [true, false]) {
    using clock = new ManualClock();
    const { wire, stream } = await compressed([], { tellsIdle });
    const say = async () => {
      await wire.write(lines(1000));
      await wire.flush();
    };
    await say();
    clock.advance(IDLE_MS * 0.9);
    await say();
    clock.advance(IDLE_MS * 0.9);
    await say();
    clock.advance(2 * IDLE_MS);
    await wire.flush();
    assertEquals(clock.pending, 0);
    await say();
    const kinds = piecesIn(stream.written).map(({ kind }) => kind);
    const forget = tellsIdle ? ["forget"] : [];
    assertEquals(kinds, ["first", "next", "next", ...forget, "first"]);
    wire.close();
    assertEquals(clock.pending, 0);
    const { wire: peer } = await compressed([stream.written]);
    const all = new Uint8Array(lines(1000).length);
    for (let turn = 0; turn < 4; turn++) {
      for (let done = 0; done < all.length;) done += (await peer.read(all.subarray(done)))!;
      assertEquals(all, lines(1000));
    }
    assertEquals(await peer.read(all), null);
  }
});

Deno.test("A piece that is not what its header says ends the connection", async () => {
  const content = lines(500);
  const bytes = await beginning(content);
  const { length } = content;
  const bomb = zstdCompressSync(new Uint8Array(64 * 1024 * 1024));
  const damaged = bytes.slice();
  damaged[bytes.length >> 1]! ^= 0xff;
  const cases: [name: string, code: "bad_header" | "checksum_mismatch" | "closed", Uint8Array][] = [
    ["continues nothing", "bad_header", piece("next", length, bytes)],
    [
      "after the end",
      "bad_header",
      concat([piece("forget", 0, new Uint8Array()), piece("next", length, bytes)]),
    ],
    ["more content", "checksum_mismatch", piece("first", length - 1, bytes)],
    ["much more content", "checksum_mismatch", piece("first", 100_000, bomb)],
    ["less content", "checksum_mismatch", piece("first", length + 1, bytes)],
    [
      "half a frame",
      "checksum_mismatch",
      piece("first", length, bytes.subarray(0, bytes.length >> 1)),
    ],
    ["damaged", "checksum_mismatch", piece("first", length, damaged)],
    ["no zstd", "checksum_mismatch", piece("first", length, randomBytes(500))],
    ["not a header", "checksum_mismatch", randomBytes(500)],
    ["a cut header", "closed", piece("first", length, bytes).subarray(0, 5)],
    ["a cut piece", "closed", piece("first", length, bytes).subarray(0, 200)],
    ["a cut raw piece", "closed", piece("raw", length, content).subarray(0, 200)],
  ];
  for (const [name, code, sent] of cases) {
    for (const segments of [[sent], inBytes(sent)]) {
      const { wire } = await compressed(segments);
      const before = Deno.memoryUsage().rss;
      const reading = async () => {
        while (await wire.read(new Uint8Array(65536)) !== null);
      };
      await assertFails(reading(), code).catch((error) => {
        throw new Error(name, { cause: error });
      });
      assert(Deno.memoryUsage().rss - before < 32 * 1024 * 1024, name);
      // What comes afterwards is not read.
      await assertFails(wire.read(new Uint8Array(10)), code);
      wire.close();
    }
  }
});

Deno.test("A piece that comes slowly does not time out, one that stops does", async () => {
  const { wire: sender, stream } = await compressed();
  await sender.write(lines(2000));
  await sender.flush();
  sender.close();
  assertEquals(piecesIn(stream.written).length, 1);
  using clock = new ManualClock();
  const line = new MemoryStream(inBytes(stream.written));
  let asked = Promise.withResolvers<void>();
  let given = Promise.withResolvers<void>();
  const slow = {
    read(into: Uint8Array) {
      asked.resolve();
      return given.promise.then(() => line.read(into));
    },
    write: (bytes: Uint8Array) => line.write(bytes),
    closeWrite: () => line.closeWrite(),
    close: () => given.reject(new Deno.errors.Interrupted()),
  };
  const wire = new Wire(slow, { runtime: RUNTIME, idleTimeout: IDLE });
  await wire.compress(3, { tellsIdle: false });
  const reading = (async () => {
    while (await wire.read(new Uint8Array(65536)) !== null);
  })();
  for (let turn = 0; turn < 100; turn++) {
    await asked.promise;
    clock.advance(IDLE * 0.9);
    asked = Promise.withResolvers();
    const { resolve } = given;
    given = Promise.withResolvers();
    resolve();
  }
  await asked.promise;
  clock.advance(IDLE);
  await assertFails(reading, "timeout");
});

Deno.test("The pace of a compressed connection is that of the line", async () => {
  const taken: number[] = [];
  const pace = {
    pieceBytes: 1000,
    take(count: number) {
      taken.push(count);
      return Promise.resolve();
    },
  };
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE, pace });
  await wire.compress(3, { tellsIdle: false });
  await wire.write(lines(20_000));
  await wire.flush();
  wire.close();
  const sum = taken.reduce((sum, count) => sum + count, 0);
  assertEquals(sum, stream.written.length);
  assert(sum < lines(20_000).length / 2);
});

Deno.test("A connection that is closed frees what compression takes, and reads fail with the reason", async () => {
  const bytes = await beginning(lines(500));
  const { wire } = await compressed([piece("first", lines(500).length, bytes).subarray(0, 100)], {
    silent: true,
  });
  const reading = wire.read(new Uint8Array(10));
  await wire.write(lines(500));
  await wire.flush();
  wire.close();
  await assertFails(reading, "closed");
  await assertFails(wire.write(lines(500)).then(() => wire.flush()), "closed");
});

Deno.test("What is written to a connection that was closed takes no memory for compression", async () => {
  let compressors = 0;
  const writer = new PieceWriter({
    buffers: RUNTIME.buffers,
    send: () => Promise.reject(new FerryError("closed", "connection closed")),
    compressor() {
      compressors++;
      return new Compressor(3);
    },
    onIdle() {},
  });
  writer.close();
  await assertFails(writer.write(lines(500), () => {}), "closed");
  assertEquals(compressors, 0);
});
