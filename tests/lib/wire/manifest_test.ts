import { assert, assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  decodeLines,
  decodeManifestLine,
  decodeManifestReply,
  encodeManifestLine,
  encodeManifestReply,
  type ManifestLine,
  type ManifestReply,
  MAX_LINE_BYTES,
} from "../../../lib/wire/manifest.ts";
import fc from "../../support/properties.ts";
import { utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

fc.configureGlobal({ seed: 31 });

const MD5 = "0123456789abcdef0123456789abcdef";
const LINE: ManifestLine = { filename: "a/b.txt", size: 5, mtime: -1, checksum: MD5 };

/** A text that comes in pieces of so many bytes. */
async function* inPieces(text: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === "string" ? utf8.encode(text) : text;
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size);
    await Promise.resolve();
  }
}

async function linesOf(text: string | Uint8Array, size = 1000): Promise<string[]> {
  return (await Array.fromAsync(decodeLines(inPieces(text, size), (line) => line))).flat();
}

/** The reason for which a line is refused. */
function flaw(decode: (line: string) => unknown, line: string): string {
  const error = assertThrows(() => decode(line), FerryError);
  assertEquals(error.code, "bad_header");
  return error.reason;
}

Deno.test("encodeManifestLine() writes one line of JSON, without an md5 that is not known", () => {
  assertEquals(
    encodeManifestLine(LINE),
    `{"filename":"a/b.txt","size":5,"mtime":-1,"md5":"${MD5}"}\n`,
  );
  assertEquals(
    encodeManifestLine({ ...LINE, filename: 'a\n"\u2028', checksum: null }),
    '{"filename":"a\\n\\"\u2028","size":5,"mtime":-1}\n',
  );
});

Deno.test("decodeManifestLine() reads what was written", () => {
  const line = fc.record({
    filename: fc.string({ unit: "binary" }),
    size: fc.maxSafeNat(),
    mtime: fc.integer({ min: -8.64e15, max: 8.64e15 }),
    checksum: fc.option(fc.constant(MD5)),
  });
  fc.assert(fc.property(line, (line) => {
    const text = encodeManifestLine(line);
    assertEquals(text.indexOf("\n"), text.length - 1);
    assertEquals(decodeManifestLine(text), line);
  }));
});

Deno.test("decodeManifestLine() ignores keys of later versions", () => {
  const line = `{"__proto__":{"md5":1},"filename":"a","size":0,"mtime":0,"md5":null,"x":[1]}`;
  assertEquals(decodeManifestLine(line), { filename: "a", size: 0, mtime: 0, checksum: null });
});

Deno.test("decodeManifestLine() names the key that is wrong", () => {
  const table: [line: string, reason: string][] = [
    ["", "a line is not JSON"],
    ["{", "a line is not JSON"],
    ["[]", "a line is not an object"],
    ["null", "a line is not an object"],
    ["1", "a line is not an object"],
    ["{}", "filename is missing"],
    ['{"filename":1}', "filename is not a string"],
    ['{"filename":null}', "filename is not a string"],
    ['{"filename":""}', "size is missing"],
    ['{"filename":"","size":"1"}', "size is not a number"],
    ['{"filename":"","size":1.5}', "size is not an integer"],
    ['{"filename":"","size":1e999}', "size is not an integer"],
    ['{"filename":"","size":-1}', "size is negative"],
    ['{"filename":"","size":9007199254740992}', "size is more than 2^53-1"],
    ['{"filename":"","size":1}', "mtime is missing"],
    ['{"filename":"","size":1,"mtime":null}', "mtime is not a number"],
    ['{"filename":"","size":1,"mtime":0.5}', "mtime is not an integer"],
    ['{"filename":"","size":1,"mtime":8640000000000001}', "mtime is out of range"],
    ['{"filename":"","size":1,"mtime":-8640000000000001}', "mtime is out of range"],
    ['{"filename":"","size":1,"mtime":1,"md5":1}', "md5 is not 32 lower-case hexadecimal digits"],
    [
      `{"filename":"","size":1,"mtime":1,"md5":"${MD5.toUpperCase()}"}`,
      "md5 is not 32 lower-case hexadecimal digits",
    ],
  ];
  for (const [line, reason] of table) assertEquals(flaw(decodeManifestLine, line), reason, line);
});

Deno.test("decodeManifestReply() reads what was written", () => {
  const replies: ManifestReply[] = [
    { filename: "a", decision: "send" },
    { filename: "ü/\n", decision: "hash" },
    { filename: "", decision: "error", code: "bad_name", message: "the name is empty" },
  ];
  for (const reply of replies) {
    const line = encodeManifestReply(reply);
    assert(line.endsWith("}\n"));
    assertEquals(decodeManifestReply(line), reply);
  }
});

Deno.test("decodeManifestReply() names the key that is wrong", () => {
  const table: [line: string, reason: string][] = [
    ["x", "a line is not JSON"],
    ['{"decision":"send"}', "filename is missing"],
    ['{"filename":"a"}', "decision is missing"],
    ['{"filename":"a","decision":"have"}', "decision is none of send, hash, error"],
    ['{"filename":"a","decision":"error"}', "code is missing"],
    ['{"filename":"a","decision":"error","code":1}', "code is not a string"],
    ['{"filename":"a","decision":"error","code":"io"}', "message is missing"],
    ['{"filename":"a","decision":"error","code":"io","message":1}', "message is not a string"],
  ];
  for (const [line, reason] of table) assertEquals(flaw(decodeManifestReply, line), reason, line);
});

Deno.test("decodeManifestReply() takes a code that is not known here for internal", () => {
  for (const code of ["of_tomorrow", "usage", "toString"]) {
    const line = JSON.stringify({ filename: "a", decision: "error", code, message: "m" });
    assertEquals(decodeManifestReply(line), {
      filename: "a",
      decision: "error",
      code: "internal",
      message: "m",
    });
  }
});

Deno.test("encodeManifestLine(), encodeManifestReply() write no line that is too long", () => {
  const overhead = encodeManifestLine({ ...LINE, filename: "" }).length - 1;
  const room = MAX_LINE_BYTES - overhead;
  const longest = encodeManifestLine({ ...LINE, filename: "x".repeat(room) });
  assertEquals(longest.length, MAX_LINE_BYTES + 1);
  const encode = (filename: string) => () => encodeManifestLine({ ...LINE, filename });
  for (const filename of ["x".repeat(room + 1), "ü".repeat(room / 2 + 1)]) {
    assertEquals(assertThrows(encode(filename), FerryError).code, "bad_header");
    const reply = () => encodeManifestReply({ filename: filename + filename, decision: "send" });
    assertEquals(assertThrows(reply, FerryError).code, "bad_header");
  }
});

Deno.test("decodeLines() gives the lines however they are cut", async () => {
  const text = "eins\nzwei ü 🚢\n\n" + "long".repeat(1000) + "\nlast\n";
  for (const size of [1, 2, 3, 7, 1000, 100_000]) {
    assertEquals(await linesOf(text, size), text.split("\n").slice(0, -1));
  }
  assertEquals(await linesOf(""), []);
  assertEquals(await linesOf("\n"), [""]);
  assertEquals(await linesOf("no line break"), ["no line break"]);
  assertEquals(await linesOf("\ufeffa\n"), ["\ufeffa"]);
});

Deno.test("decodeLines() yields a line as soon as it is there", async () => {
  const lines = decodeLines(inPieces("a\nb\nc\nd", 4), (line) => line);
  assertEquals((await lines.next()).value, ["a", "b"]);
  // The rest is not read for that, and whoever leaves ends the pieces, too.
  await lines.return();
  assertEquals((await lines.next()).done, true);
});

Deno.test("decodeLines() gives no more lines together than are soon done with", async () => {
  const text = Array.from({ length: 1000 }, (_, turn) => `${turn}\n`).join("");
  const some = await Array.fromAsync(decodeLines(inPieces(text, text.length), Number));
  assertEquals(some.map(({ length }) => length), [...Array(15).fill(64), 40]);
  assertEquals(some.flat(), Array.from({ length: 1000 }, (_, turn) => turn));
});

Deno.test("decodeLines() takes no line that is too long, and gathers none", async () => {
  const longest = "x".repeat(MAX_LINE_BYTES);
  assertEquals(await linesOf(`${longest}\n${longest}`, 8192), [longest, longest]);
  for (const line of [`x${longest}`, `${"ü".repeat(MAX_LINE_BYTES / 2)}x`]) {
    for (const text of [line, `${line}\n`]) {
      const error = await assertCode("bad_header", () => linesOf(text, 8192));
      assertEquals(error.reason, "a line is longer than 65536 bytes");
    }
  }
  let asked = 0;
  const endless = async function* () {
    for (;; await Promise.resolve()) yield new Uint8Array(1000).fill(++asked && 120);
  };
  await assertCode("bad_header", () => Array.fromAsync(decodeLines(endless(), (line) => line)));
  assertEquals(asked, 66);
});

Deno.test("decodeLines() refuses what is not UTF-8, also at the end", async () => {
  for (const bytes of [[0xff, 10], [97, 10, 0xc3], [0xc3, 10]]) {
    for (const size of [1, 10]) {
      const error = await assertCode("bad_header", () => linesOf(Uint8Array.from(bytes), size));
      assertEquals(error.reason, "the lines are not UTF-8");
    }
  }
});

Deno.test("decodeLines() fails with what the decoder of a line throws", async () => {
  const pieces = inPieces(encodeManifestLine(LINE) + "{}\n", encodeManifestLine(LINE).length);
  const lines = decodeLines(pieces, decodeManifestLine);
  assertEquals((await lines.next()).value, [LINE]);
  const error = await assertCode("bad_header", () => lines.next());
  assertEquals(error.reason, "filename is missing");
});
