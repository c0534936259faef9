import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { md5Of } from "../../support/digests.ts";
import { emptyChecksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { ByteSource } from "../../../lib/core/bytes.ts";
import { LocalFile } from "../../../lib/files/local_file.ts";
import {
  readWhole,
  sendDescription,
  sendSized,
  sendStreamed,
  StreamedBody,
} from "../../../lib/transfer/send.ts";
import { receive } from "../../../lib/transfer/receive.ts";
import { checksumOfSource, digestPrefix } from "../../../lib/digest/source_digest.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import { stopClock } from "../../support/clock.ts";
import { TempDir } from "../../support/programs.ts";
import { concat, message } from "../../support/vectors.ts";
import {
  ABC_MD5,
  assertFails,
  Collector,
  IDLE,
  MemoryStream,
  readAll,
  sourceOf,
  utf8,
  wireOver,
} from "../../support/memory_stream.ts";

const EMPTY_MD5 = emptyChecksum("md5");
const ABC_SHA256 = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Deno.test("sendSized() puts a known md5 in front, and sends the rest in one write", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const source = sourceOf(utf8.encode("abc"));
  await sendSized(wire, { op: "put" }, source, { size: 3, checksum: ABC_MD5 });
  await wire.flush();
  assertEquals(stream.writes.length, 1);
  assertEquals(stream.written, message(`{"op":"put","md5":"${ABC_MD5}","total_size":3}`, "abc"));
});

Deno.test("sendSized() puts an unknown md5 behind, but not behind an empty body", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const header = { filename: "f" };
  const sent = await sendSized(wire, header, sourceOf(utf8.encode("abc")), {
    size: 3,
    checksum: null,
  });
  assertEquals(sent, { checksum: ABC_MD5, size: 3 });
  await sendSized(wire, header, sourceOf(new Uint8Array()), { size: 0, checksum: null });
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
  const wire = new Wire(slow, { runtime: RUNTIME, idleTimeout: IDLE });
  const { checksum: md5 } = await sendSized(wire, {}, sourceOf(body), {
    size: body.length,
    checksum: null,
  });
  await wire.flush();
  assertEquals(md5, md5Of(body));
  const { received, code } = await readAll(wireOver(...taken));
  assertEquals([received[0]?.md5, code], [md5, undefined]);
});

Deno.test("sendSized() sends no more than it announced of a source that grew", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  await sendSized(wire, {}, sourceOf(utf8.encode("abcdef")), { size: 3, checksum: ABC_MD5 });
  await wire.flush();
  const { received, code } = await readAll(wireOver(stream.written));
  assertEquals([received[0]?.size, code], [3, undefined]);
});

Deno.test("sendSized() ends its direction where the source is shorter than announced", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const size = 3_000_000;
  const source = sourceOf(new Uint8Array(size - 1));
  await assertFails(sendSized(wire, {}, source, { size, checksum: null }), "io", "it shrank");
  assertEquals([wire.writable, wire.closed], [false, false]);
  assert(stream.calls.includes("closeWrite"));
  // The peer sees a body that is cut off, and neither padding nor a message behind it.
  const { received, code, ends } = await readAll(wireOver(stream.written));
  assertEquals([received.length, code, ends], [0, "closed", true]);
});

Deno.test("sendSized() reports a source that changed in the closing header", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const source: ByteSource = {
    ...sourceOf(utf8.encode("abc")),
    assertUnchanged: () => Promise.reject(new FerryError("io", "it changed while it was sent")),
  };
  await assertFails(sendSized(wire, {}, source, { size: 3, checksum: null }), "io", "it changed");
  assert(wire.writable, "the connection can go on");
  await wire.writeFrame({ op: "ping" });
  await wire.flush();
  const peer = wireOver(stream.written);
  const { code, ends } = await readAll(peer);
  assertEquals([code, ends], ["io", false]);
  assertEquals((await readAll(peer)).received[0]?.header.op, "ping");
});

Deno.test("sendDescription() sends the body before the checksum of what it describes is known", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const whole = Promise.withResolvers<string>();
  const told: (string | undefined)[] = [];
  const source: ByteSource = {
    ...sourceOf(utf8.encode("abc")),
    assertUnchanged: (checksum) => Promise.resolve(void told.push(checksum)),
  };
  const options = { size: 3, whole: whole.promise };
  const sending = sendDescription(wire, { filename: "f" }, source, options);
  const opening = message('{"filename":"f","md5":null,"total_size":3}', "abc");
  while (stream.written.length < opening.length) await new Promise((go) => setTimeout(go));
  assertEquals([stream.written, told], [opening, []]);
  whole.resolve(EMPTY_MD5!);
  assertEquals(await sending, EMPTY_MD5);
  await wire.flush();
  const closing = message(`{"end":true,"filename":"f","md5":"${EMPTY_MD5}","size":3}`);
  assertEquals([stream.written, told], [concat([opening, closing]), [EMPTY_MD5]]);
});

Deno.test("sendDescription() reports in the closing header that what it describes cannot be read", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const whole = Promise.reject(new FerryError("io", "it shrank"));
  const sending = sendDescription(wire, {}, sourceOf(utf8.encode("abc")), { size: 3, whole });
  await assertFails(sending, "io", "it shrank");
  await wire.flush();
  assert(wire.writable, "the connection can go on");
  const { code, ends } = await readAll(wireOver(stream.written));
  assertEquals([code, ends], ["io", false]);
});

Deno.test("sendSized() sees that a file changed whose size and time were set back", async () => {
  await using dir = new TempDir();
  const size = 9 * 1024 * 1024;
  for (const from of [0, 2 * 1024 * 1024]) {
    const path = dir.write("file", new Uint8Array(size));
    const { mtime } = Deno.statSync(path);
    // It was changed a moment ago, so that its times may stay the same.
    using _clock = stopClock(mtime!.getTime());
    await using file = LocalFile.open(path, RUNTIME);
    const options = { algorithm: "md5", proof: true } as const;
    const digest = from > 0
      ? await digestPrefix(RUNTIME, file, { size: from, ...options })
      : undefined;
    file.seek(from);
    const stream = new MemoryStream();
    const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
    let left = size - from;
    const change = (count: number) => {
      left -= count;
      if (left > 0) return;
      using open = Deno.openSync(path, { write: true });
      open.writeSync(new Uint8Array([1]));
      Deno.utimeSync(path, mtime!, mtime!);
    };
    const sending = sendSized(wire, {}, file, {
      size: size - from,
      checksum: null,
      digest,
      onBytes: change,
    });
    await assertFails(sending, "io", "the content is not");
    await wire.flush();
    const { code, ends } = await readAll(wireOver(stream.written));
    assertEquals([code, ends], ["io", false]);
  }
});

Deno.test("readWhole(), sendSized() and checksumOfSource() tell a source what was read of it", async () => {
  const told: (string | undefined)[] = [];
  const source = () => ({
    ...sourceOf(utf8.encode("abc")),
    assertUnchanged: (whole?: string) => Promise.resolve(void told.push(whole)),
  });
  const wire = new Wire(new MemoryStream(), { runtime: RUNTIME, idleTimeout: IDLE });
  await readWhole(source(), {
    into: new Uint8Array(3),
    algorithm: "md5",
    digests: RUNTIME.digests,
  });
  await checksumOfSource(RUNTIME, source(), { algorithm: "md5" });
  await sendSized(wire, {}, source(), { size: 3, checksum: null });
  await sendSized(wire, {}, source(), { size: 0, checksum: null });
  assertEquals(told, [ABC_MD5, ABC_MD5, ABC_MD5, EMPTY_MD5]);
  // The receiver compares with a checksum that was known before.
  told.length = 0;
  await sendSized(wire, {}, source(), { size: 3, checksum: ABC_MD5 });
  await sendSized(wire, {}, source(), { size: 0, checksum: EMPTY_MD5 });
  assertEquals(told, [undefined]);
});

Deno.test("sendSized() stops between two pieces where it is told to", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const size = 5 * 1024 * 1024;
  let asked = 0;
  let told = 0;
  const sending = sendSized(wire, {}, sourceOf(new Uint8Array(size), 1024 * 1024), {
    size,
    checksum: EMPTY_MD5,
    onBytes: (count) => told += count,
    stop: () => ++asked === 3 ? new FerryError("exists", "refused") : undefined,
  });
  await assertFails(sending, "exists", "refused");
  assertEquals(told, 2 * 1024 * 1024);
  assert(stream.written.length < size);
  assert(!wire.writable);
});

Deno.test("sendSized() fails as its source does", async () => {
  const wire = new Wire(new MemoryStream(), { runtime: RUNTIME, idleTimeout: IDLE });
  const source = { read: () => Promise.reject(new FerryError("io", "a bad sector")) };
  await assertFails(sendSized(wire, {}, source, { size: 3, checksum: null }), "io", "a bad sector");
  assert(!wire.writable);
});

Deno.test("sendStreamed() leaves out empty pieces and closes with the md5 of all", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const failing = (async function* () {
    yield await Promise.resolve(utf8.encode("ab"));
    throw new FerryError("io", "the pipe broke");
  })();
  await assertFails(sendStreamed(wire, {}, failing), "io", "the pipe broke");
  await wire.flush();
  const peer = wireOver(stream.written);
  const { body } = (await peer.readFrame())!;
  await assertFails(receive(RUNTIME, body, new Collector()), "io", "the pipe broke");
  assert(body.ended);
});

Deno.test("StreamedBody gives chunks and the closing header keys of their own", async () => {
  const stream = new MemoryStream();
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const body = await StreamedBody.open(wire, { status: "ok" }, "sha256");
  await body.write(utf8.encode("abc"), { stream: "stderr" });
  await body.write(new Uint8Array(), { stream: "stdout" });
  const { checksum, size } = await body.close({ exit_code: 3 });
  await wire.flush();
  assertEquals([checksum, size], [ABC_SHA256, 3]);
  assertEquals(
    stream.written,
    concat([
      message('{"status":"ok","checksum":"sha256","total_size":null}'),
      message('{"stream":"stderr","total_size":3}', "abc"),
      message(`{"end":true,"checksum":"${ABC_SHA256}","size":3,"exit_code":3}`),
    ]),
  );
});
