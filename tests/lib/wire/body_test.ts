import { assert, assertEquals } from "@std/assert";
import { md5Of } from "../../support/digests.ts";
import { emptyChecksum } from "../../../lib/core/checksum.ts";
import { receive } from "../../../lib/transfer/receive.ts";
import { MAX_DRAIN_BYTES } from "../../../lib/wire/body.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import { RUNTIME } from "../../support/runtime.ts";
import { concat, message } from "../../support/vectors.ts";
import {
  ABC_MD5,
  assertFails,
  Collector,
  frameOf,
  IDLE,
  MemoryStream,
  utf8,
  wireOver,
} from "../../support/memory_stream.ts";

const EMPTY_MD5 = emptyChecksum("md5");

Deno.test("IncomingBody.read() has no buffer of its own wait for what comes slowly", async () => {
  const piece = new Uint8Array(100);
  const stream = new MemoryStream([message('{"total_size":4096}'), piece, piece, piece], {
    silent: true,
  });
  const { body } = (await new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }).readFrame())!;
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
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const into = new Uint8Array(1000);
  for (let i = 0; i < many.length; i++) {
    const { body } = (await wire.readFrame())!;
    for (let filled = 0; filled < 1000;) filled += await body.read(into.subarray(filled));
  }
  assert(stream.rooms.length < 20, `${stream.rooms.length} reads`);
});

Deno.test("IncomingBody.drain() goes on where 1 MiB is left, and does not begin where it is more", async () => {
  const limit = Number(MAX_DRAIN_BYTES);
  const md5 = EMPTY_MD5;
  const bodyOf = async (size: number) => {
    const stream = new MemoryStream([
      message(JSON.stringify({ md5, total_size: size })),
      new Uint8Array(size),
    ]);
    const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
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
