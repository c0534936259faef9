import { headed } from "../../support/line_exec_server.ts";
import { assertEquals } from "@std/assert";
import { encodeAnnouncement, readAnnouncement } from "../../../lib/line_exec/framing.ts";
import { md5, utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

Deno.test("encodeAnnouncement() writes what readAnnouncement() reads", async () => {
  for (const framing of ["json", "length"] as const) {
    for (
      const [name, size] of [["ls", 0], ["文件\n", 5], ["x".repeat(70_000), 2 ** 31 - 1]] as const
    ) {
      const bytes = encodeAnnouncement(framing, { name, size, md5: md5(name) });
      let start = 0;
      const read = (count: number) => Promise.resolve(bytes.subarray(start, start += count));
      assertEquals(await readAnnouncement(framing, read), {
        size,
        md5: framing === "json" ? md5(name) : null,
      });
      assertEquals(start, bytes.length);
    }
  }
  assertEquals(encodeAnnouncement("raw", { name: "ls", size: 5, md5: "" }).length, 0);
  assertEquals(
    [...encodeAnnouncement("length", { name: "", size: 258, md5: "" })],
    [2, 1, 0, 0],
  );
});

Deno.test("readAnnouncement() refuses what is none", async () => {
  const length = (value: number) => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, true);
    return bytes;
  };
  const table: ["json" | "length", Uint8Array, string][] = [
    ["length", length(-1), "the output's length is -1"],
    ["json", length(-1), "the header's length is -1"],
    ["json", length(1), "the header's length is 1"],
    ["json", length(65537), "it must be 2 to 65536"],
    ["json", utf8.encode("HTTP/1.1"), "it must be 2 to 65536"],
    ["json", headed("{]"), "the header is not JSON in UTF-8"],
    ["json", headed(Uint8Array.of(0x22, 0xff, 0x22)), "the header is not JSON in UTF-8"],
    ["json", headed("null"), "the header is not an object"],
    ["json", headed("[]"), "total_size is not a number of bytes"],
    ["json", headed("{}"), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":-1}'), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":1.5}'), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":"5"}'), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":1e300}'), "total_size is not a number of bytes"],
  ];
  for (const [framing, bytes, words] of table) {
    let start = 0;
    const read = (count: number) => Promise.resolve(bytes.slice(start, start += count));
    await assertCode("bad_header", () => readAnnouncement(framing, read), words);
  }
});
