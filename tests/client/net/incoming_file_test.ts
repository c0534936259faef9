import { assertEquals, assertThrows } from "@std/assert";
import type { FileToGet } from "../../../client/net/file_requests.ts";
import { IncomingFile } from "../../../client/net/incoming_file.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { ABC_MD5, assertFails, Collector, frameOf } from "../../support/memory_stream.ts";
import { message } from "../../support/vectors.ts";

const FILE: FileToGet = { filename: "f", algorithm: "md5" };

/** The reply of a server that sends "abc". */
const reply = (keys: object = {}) =>
  frameOf(
    message(
      JSON.stringify({
        status: "ok",
        filename: "f",
        md5: ABC_MD5,
        total_size: 3,
        size: 3,
        mtime: 1000,
        mode: 0o640,
        ...keys,
      }),
      "abc",
    ),
  );

Deno.test("IncomingFile tells of a file what the server says, and receives it", async () => {
  const file = new IncomingFile(FILE, await reply());
  const { size, mtime, mode, offset, announced, total } = file;
  assertEquals([size, mtime, mode, offset, announced, total], [3, 1000, 0o640, 0, ABC_MD5, 3]);
  const sink = new Collector();
  assertEquals((await file.receive(sink)).checksum, ABC_MD5);
  assertEquals(new TextDecoder().decode(sink.bytes), "abc");
});

Deno.test("IncomingFile.receive() notices that another number of bytes came than was announced", async () => {
  const file = new IncomingFile(FILE, await reply({ size: 4 }));
  await assertFails(
    file.receive(new Collector()),
    "checksum_mismatch",
    "3 of 4 bytes came",
  );
});

Deno.test("IncomingFile of a range has the bytes of the range", async () => {
  const range = { start: 5, count: 3 };
  const file = new IncomingFile({ ...FILE, range }, await reply({ size: 100, start: 5 }));
  assertEquals([file.size, file.total], [100, 3]);
  assertEquals((await file.receive(new Collector())).size, 3);
});

Deno.test("IncomingFile refuses another part of the file than was asked for, and errors", async () => {
  const prefix = { size: 2, whole: null, md5: ABC_MD5, xxh128: null };
  for (
    const [asked, keys, code] of [
      [{}, { offset: 1 }, "bad_header"],
      [{ prefix }, { offset: 1, size: 4 }, "bad_header"],
      [{ range: { start: 5 } }, { size: 8 }, "bad_header"],
      [{ range: { start: 5 } }, { size: 9, start: 6 }, "bad_header"],
      [{}, { mode: 0o1000 }, "bad_header"],
      [{}, { status: "error", code: "not_found", message: "it is not there" }, "not_found"],
    ] as const
  ) {
    const frame = await reply(keys);
    const error = assertThrows(() => new IncomingFile({ ...FILE, ...asked }, frame), FerryError);
    assertEquals(error.code, code, JSON.stringify([asked, keys, error.message]));
  }
});
