import { assert, assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  decodeManifestLine,
  decodeManifestReply,
  encodeManifestLine,
  encodeManifestReply,
  type ManifestLine,
  type ManifestReply,
} from "../../../lib/wire/manifest.ts";
import { MAX_LINE_BYTES } from "../../../lib/wire/lines.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 31 });

const MD5 = "0123456789abcdef0123456789abcdef";
const LINE: ManifestLine = { filename: "a/b.txt", size: 5, mtime: -1, checksum: MD5 };

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
