import { ForeignServer, inBytes, json } from "../../support/line_exec_server.ts";
import { assertEquals } from "@std/assert";
import { type Framing, FRAMINGS, MAX_LINE_BYTES } from "../../../lib/line_exec/framing.ts";
import { type ErrorCode } from "../../../lib/core/errors.ts";
import { Collector } from "../../support/memory_stream.ts";
import { md5, text, utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

Deno.test("LineExecClient.run() takes answers in any segmentation", async () => {
  const output = "hello\n";
  const cases: [Framing, Iterable<Uint8Array>, boolean, boolean][] = [
    ["json", inBytes(json({ filename: "", md5: md5(output), total_size: 6 }), output), false, true],
    ["json", inBytes(json({ md5: "xxdxxx", total_size: 6 }), output), false, false],
    ["json", inBytes(json({ total_size: 6 }), output), false, false],
    ["json", inBytes(json({ md5: null, total_size: 6, more: {} }), output), false, false],
    ["json", inBytes(json({ md5: md5(output).toUpperCase(), total_size: 6 }), output), false, true],
    ["length", inBytes(Uint8Array.of(6, 0, 0, 0), output), false, false],
    ["raw", inBytes(output), true, false],
  ];
  for (const [framing, segments, ends, verified] of cases) {
    await using server = new ForeignServer(segments, { ends });
    using client = server.client(framing);
    const sink = new Collector();
    const result = await client.run(utf8.encode("ls"), sink);
    assertEquals(text(sink.bytes), output);
    assertEquals(result, { size: 6, verified, whole: true });
    assertEquals(server.lines, ["ls"]);
  }
});

Deno.test("LineExecClient.run() takes line after line on one connection, or one for each in raw framing", async () => {
  for (const framing of FRAMINGS) {
    const segments = {
      json: json({ total_size: 0 }),
      length: new Uint8Array(4),
      raw: utf8.encode("x"),
    };
    await using server = new ForeignServer([segments[framing]], {
      ends: framing === "raw",
      lines: framing === "raw" ? 1 : 3,
    });
    using client = server.client(framing);
    for (const line of ["one", "two", "three"]) {
      const { size } = await client.run(utf8.encode(line), new Collector());
      assertEquals(size, framing === "raw" ? 1 : 0);
    }
    assertEquals(server.lines, ["one", "two", "three"]);
  }
});

Deno.test("LineExecClient.run() fails where the answer is damaged, cut or none", async () => {
  const cases: [Framing, Uint8Array[], boolean, ErrorCode, string][] = [
    [
      "json",
      [json({ md5: md5("hello"), total_size: 5 }), utf8.encode("hellp")],
      false,
      "checksum_mismatch",
      "",
    ],
    ["json", [json({ total_size: 5 }), utf8.encode("hel")], true, "closed", "behind 3 of 5 bytes"],
    [
      "length",
      [Uint8Array.of(5, 0, 0, 0), utf8.encode("hel")],
      true,
      "closed",
      "behind 3 of 5 bytes",
    ],
    ["length", [Uint8Array.of(5, 0)], true, "closed", "the server ended the connection"],
    ["json", [], true, "closed", "the server ended the connection"],
    ["json", [utf8.encode("HTTP/1.1 400 Bad Request\r\n")], false, "bad_header", ""],
    ["length", [Uint8Array.of(255, 255, 255, 255)], false, "bad_header", ""],
    ["json", [json({ total_size: 5 }), utf8.encode("hel")], false, "timeout", ""],
    ["raw", [], false, "timeout", ""],
  ];
  for (const [framing, segments, ends, code, words] of cases) {
    await using server = new ForeignServer(segments, { ends });
    using client = server.client(framing, 300);
    await assertCode(code, () => client.run(utf8.encode("ls"), new Collector()), words);
  }
  await using server = new ForeignServer([utf8.encode("all of it")]);
  using client = server.client("raw", 300);
  const sink = new Collector();
  const result = await client.run(utf8.encode("ls"), sink);
  assertEquals([text(sink.bytes), result], ["all of it", {
    size: 9,
    verified: false,
    whole: false,
  }]);
});

Deno.test("LineExecClient.run() sends no line that cannot be one", async () => {
  await using server = new ForeignServer([]);
  using client = server.client("json");
  await assertCode("usage", () => client.run(new Uint8Array(), new Collector()));
  await assertCode(
    "too_large",
    () => client.run(new Uint8Array(MAX_LINE_BYTES + 1), new Collector()),
  );
  assertEquals(server.lines, []);
});
