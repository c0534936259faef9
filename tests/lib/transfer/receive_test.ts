import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { md5Of } from "../../support/digests.ts";
import { emptyChecksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { BYTES_ALONE } from "../../../lib/digest/chunk_digest.ts";
import { THREAD_BYTES } from "../../../lib/digest/md5_thread.ts";
import { PrefixDigest, type SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import {
  receive,
  receivePart,
  verifiedChunks,
  VerifyingReader,
} from "../../../lib/transfer/receive.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import { message } from "../../support/vectors.ts";
import {
  ABC_MD5,
  assertFails,
  Collector,
  frameOf,
  IDLE,
  inBytes,
  MemoryStream,
  text,
  wireOver,
} from "../../support/memory_stream.ts";

const EMPTY_MD5 = emptyChecksum("md5");

Deno.test("receive() tells both md5s where they differ", async () => {
  const { body } = await frameOf(message(`{"md5":"${EMPTY_MD5}","total_size":3}`, "abc"));
  await assertFails(
    receive(RUNTIME, body, new Collector()),
    "checksum_mismatch",
    `the md5 of the 3 bytes that came is ${ABC_MD5}, the sender says ${EMPTY_MD5}`,
  );
});

Deno.test("receive() finds one wrong bit in a body of several pieces", async () => {
  const body = Uint8Array.from({ length: 3 * 1024 * 1024 + 7 }, (_, i) => (i * 31) >>> 3);
  const header = message(`{"md5":"${md5Of(body)}","total_size":${body.length}}`);
  const sink = new Collector();
  const good = await frameOf(header, body);
  assertEquals((await receive(RUNTIME, good.body, sink)).size, body.length);
  assertEquals(md5Of(sink.bytes), md5Of(body));
  const bad = body.slice();
  bad[2 * 1024 * 1024]! ^= 1;
  const frame = await frameOf(header, bad);
  await assertFails(receive(RUNTIME, frame.body, new Collector()), "checksum_mismatch");
});

Deno.test("receive() has a thread digest what is large where it may, and leaves none behind", async () => {
  // Most of it does not come: the thread is there as soon as enough has.
  const announced = message(`{"md5":"${ABC_MD5}","total_size":${THREAD_BYTES}}`);
  const resumable = { checkpoint: () => Promise.resolve(), proof: false };
  for (const byThread of [true, false]) {
    const { body } = await frameOf(announced, new Uint8Array(BYTES_ALONE + 5_000_000));
    let most = 0;
    const sink = {
      write: () => Promise.resolve(void (most = Math.max(most, RUNTIME.digests.threads.size))),
    };
    await assertFails(receive(RUNTIME, body, sink, { byThread, resumable }), "closed");
    const threads = byThread && navigator.hardwareConcurrency > 1 ? 1 : 0;
    assertEquals([byThread, most, RUNTIME.digests.threads.size], [byThread, threads, 0]);
  }
});

Deno.test("receivePart() has a thread digest a large part", async () => {
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: true });
  let most = 0;
  const sink = {
    write: () => Promise.resolve(void (most = Math.max(most, RUNTIME.digests.threads.size))),
  };
  let left = BYTES_ALONE + 5_000_000;
  const read = (into: Uint8Array) => {
    const count = Math.min(into.length, left);
    left -= count;
    return count > 0 ? Promise.resolve(count) : Promise.reject(new FerryError("closed", "gone"));
  };
  await assertFails(receivePart(RUNTIME, { size: THREAD_BYTES, read }, sink, { digest }), "closed");
  assertEquals([most, RUNTIME.digests.threads.size], [
    navigator.hardwareConcurrency > 1 ? 1 : 0,
    0,
  ]);
});

Deno.test("receive() tells of every byte", async () => {
  const wire = wireOver(...inBytes(message(`{"md5":"${ABC_MD5}","total_size":3}`, "abc")));
  const counts: number[] = [];
  const { body } = (await wire.readFrame())!;
  await receive(RUNTIME, body, new Collector(), { onBytes: (count) => counts.push(count) });
  assertEquals(counts, [1, 1, 1]);
});

Deno.test("receive() fails as its sink does, for small bodies and large ones", async () => {
  const full = () => Promise.reject(new FerryError("no_space", "it is full"));
  for (const size of [10, 3 * 1024 * 1024]) {
    const header = message(JSON.stringify({ md5: EMPTY_MD5, total_size: size }));
    const { body } = await frameOf(header, new Uint8Array(size));
    await assertFails(receive(RUNTIME, body, { write: full }), "no_space");
  }
});

Deno.test("receive() takes no memory in proportion to an announced size", async () => {
  const stream = new MemoryStream([message('{"total_size":9223372036854775807}', "abc")]);
  const frame = await new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }).readFrame();
  await assertFails(
    receive(RUNTIME, frame!.body, new Collector()),
    "closed",
    "in the middle of a body",
  );
  assert(Math.max(...stream.rooms) <= 1024 * 1024);
});

/** Everything that a reader gives, a few bytes at a time. */
async function readOut(reader: VerifyingReader): Promise<string> {
  const into = new Uint8Array(2);
  let read = "";
  for (let count; (count = await reader.read(into)) > 0;) read += text(into.subarray(0, count));
  return read;
}

Deno.test("VerifyingReader gives bytes as they come, and fails at the end where they are wrong", async () => {
  const right = await frameOf(message(`{"md5":"${ABC_MD5}","total_size":3}`, "abc"));
  assertEquals(await readOut(await VerifyingReader.open(right.body)), "abc");
  const empty = await frameOf(message("{}"));
  assertEquals(await readOut(await VerifyingReader.open(empty.body)), "");
  const wrong = await frameOf(message(`{"md5":"${ABC_MD5}","total_size":3}`, "abd"));
  const reader = await VerifyingReader.open(wrong.body, "the output");
  const words = "the output did not arrive as it was sent";
  await assertFails(readOut(reader), "checksum_mismatch", words);
});

Deno.test("verifiedChunks() gives what came together, and fails at the end where it is wrong", async () => {
  for (const closing of [ABC_MD5, EMPTY_MD5]) {
    const { body } = await frameOf(
      message('{"total_size":null}'),
      message('{"total_size":1}', "a"),
      message('{"total_size":2}', "bc"),
      message(`{"end":true,"md5":"${closing}","size":3}`),
    );
    let read = "";
    const reading = (async () => {
      for await (const chunk of verifiedChunks(body)) read += text(chunk);
    })();
    if (closing === ABC_MD5) await reading;
    else await assertFails(reading, "checksum_mismatch", "it did not arrive as it was sent");
    assertEquals(read, "abc");
  }
});

Deno.test("receivePart() keeps every byte that came before a failure, if that is asked for", async () => {
  for (const exact of [true, false]) {
    for (const count of [1, 100_001, 5_000_000]) {
      const bytes = Uint8Array.from({ length: count }, (_, i) => (i * 31) >>> 3);
      let at = 0;
      const read = (into: Uint8Array) => {
        if (at === count) return Promise.reject(new FerryError("closed", "gone"));
        const piece = bytes.subarray(at, at + Math.min(into.length, 70_000));
        into.set(piece);
        at += piece.length;
        return Promise.resolve(piece.length);
      };
      const sink = new Collector();
      const digest = await PrefixDigest.create({ algorithm: "md5", proof: true });
      let saved: SavedPrefix | undefined;
      const checkpoint = (prefix: SavedPrefix) => {
        saved = prefix;
        return Promise.resolve();
      };
      const resumable = { checkpoint, proof: true, exact };
      await assertFails(
        receivePart(RUNTIME, { size: 9_000_000, read }, sink, { digest, resumable }),
        "closed",
      );
      if (!exact) {
        assert((saved?.size ?? 0) < count);
        continue;
      }
      assertEquals([saved?.size, sink.bytes.length], [count, count]);
      assertEquals((await digest.facts()).md5, md5Of(bytes));
    }
  }
});
