import { assert, assertEquals, assertThrows } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { algorithmOf } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  decodeHeader,
  encodeHeader,
  type Header,
  MAX_HEADER_BYTES,
  MIN_HEADER_BYTES,
  readHeaderLength,
} from "../../../lib/wire/codec.ts";
import { MAX_WIRE_SIZE } from "../../../lib/wire/schema.ts";
import { text, utf8 } from "../../support/bytes.ts";
import { assertRefuses, decode, header } from "../../support/headers.ts";
import fc from "../../support/properties.ts";
import { BAD, bytesOf, firstHeader, GOOD, meaningOf } from "../../support/vectors.ts";

Deno.test("readHeaderLength() takes no header that is too short or too long", () => {
  const read = (length: number) => {
    const buffer = new Uint8Array(9);
    new DataView(buffer.buffer).setInt32(3, length, true);
    return readHeaderLength(buffer.subarray(3, 7));
  };
  for (const length of [MIN_HEADER_BYTES, 300, MAX_HEADER_BYTES]) {
    assertEquals(read(length), length);
  }
  for (const length of [MIN_HEADER_BYTES - 1, 0, -1, MAX_HEADER_BYTES + 1, 2 ** 31 - 1]) {
    const words = `the header's length is ${length}; it must be 2 to 65536`;
    assertRefuses(() => read(length), "bad_header", words);
  }
  assertRefuses(
    () => readHeaderLength(utf8.encode("HTTP")),
    "bad_header",
    "it must be 2 to 65536; the other side seems to speak HTTP",
  );
});

Deno.test("decodeHeader() reads the first header of every good vector", () => {
  for (const { name, hex, messages } of GOOD) {
    const decoded = decodeHeader(firstHeader(bytesOf(hex)));
    assertEquals({ ...decoded }, meaningOf(messages[0]!.header), name);
  }
});

Deno.test("decodeHeader() refuses the header of every vector that is bad by its header alone", () => {
  const kinds = /^(not-|utf-|byte-order|json-|filename-|total-size-|md5-(?!in-front))/;
  const vectors = BAD.filter(({ name }) => kinds.test(name));
  assert(vectors.length > 30, `only ${vectors.length} vectors were found`);
  for (const { name, hex, code } of vectors) {
    const error = assertThrows(() => decodeHeader(firstHeader(bytesOf(hex))), FerryError);
    assertEquals(error.code as string, code, name);
  }
});

Deno.test("decodeHeader() supplies the framing keys that are absent", () => {
  assertEquals({ ...decode("{}") }, { total_size: 0n, algorithm: "md5", checksum: null });
  assertEquals(decode('{"total_size":null}').total_size, null);
  assertEquals(decode('{"total_size":0}').total_size, 0n);
});

Deno.test("decodeHeader() keeps sizes exact up to 2^63-1", () => {
  for (const digits of ["9007199254740991", "9007199254740993", "9223372036854775807"]) {
    for (const key of ["total_size", "size", "offset", "received", "start", "count"]) {
      assertEquals(decode(`{"${key}":${digits}}`)[key], BigInt(digits));
    }
  }
  assertRefuses(
    () => decode('{"total_size":9223372036854775808}'),
    "bad_header",
    "total_size is more than 2^63-1",
  );
});

Deno.test("decodeHeader() says which key is wrong and how", () => {
  const cases: [json: string, words: string][] = [
    ['{"total_size":-1}', "total_size is negative"],
    ['{"total_size":1.0}', "total_size is not an integer"],
    ['{"total_size":1e3}', "total_size is not an integer"],
    ['{"total_size":"1"}', "total_size is not an integer"],
    ['{"md5":"ABC"}', "md5 is not 32 lower-case hexadecimal digits"],
    ['{"md5":1}', "md5 is not a string"],
    ['{"filename":1}', "filename is not a string"],
    ['{"filename":null}', "filename is not a string"],
    ["[]", "the header is not an object"],
    ["1", "the header is not an object"],
    ["null", "the header is not an object"],
    ["{", "the header is not JSON"],
    ["\ufeff{}", "the header is not JSON"],
  ];
  for (const [json, words] of cases) assertRefuses(() => decode(json), "bad_header", words);
  const invalid = Uint8Array.of(0x7b, 0xff, 0x7d);
  assertRefuses(() => decodeHeader(invalid), "bad_header", "the header is not UTF-8");
});

Deno.test("decodeHeader() gives a header or bad_header, whatever the bytes", () => {
  const jsonLike = fc.json().map((json) => utf8.encode(json));
  const framing = fc.record({
    total_size: fc.jsonValue(),
    md5: fc.jsonValue(),
    checksum: fc.jsonValue(),
    filename: fc.jsonValue(),
  }, { requiredKeys: [] }).map((keys) => utf8.encode(JSON.stringify(keys)));
  const property = fc.property(fc.oneof(fc.uint8Array(), jsonLike, framing), (bytes) => {
    let decoded: Header;
    try {
      decoded = decodeHeader(bytes);
    } catch (error) {
      assert(error instanceof FerryError);
      assertEquals(error.code, "bad_header");
      return;
    }
    const { total_size, checksum, filename } = decoded;
    assert(total_size === null || (total_size >= 0n && total_size <= MAX_WIRE_SIZE));
    assert(checksum === null || algorithmOf(checksum) === decoded.algorithm);
    assert(filename === undefined || typeof filename === "string");
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
});

Deno.test("encodeHeader() writes JSON without white space, in the order of the keys", () => {
  const bytes = encodeHeader({
    op: "put",
    filename: "é",
    md5: null,
    total_size: 3,
    gone: undefined,
  });
  assertEquals(text(bytes), '{"op":"put","filename":"é","md5":null,"total_size":3}');
});

Deno.test("encodeHeader() writes big integers digit by digit", () => {
  assertEquals(
    text(encodeHeader({ size: MAX_WIRE_SIZE, offset: 2n ** 53n + 1n })),
    '{"size":9223372036854775807,"offset":9007199254740993}',
  );
});

Deno.test("encodeHeader() takes exactly as much as a header may be long", () => {
  const overhead = '{"x":""}'.length;
  const longest = encodeHeader({ x: "a".repeat(MAX_HEADER_BYTES - overhead) });
  assertEquals(longest.length, MAX_HEADER_BYTES);
  // It is the bytes that count, not the characters.
  const tooLong = { x: "é".repeat((MAX_HEADER_BYTES - overhead) / 2 + 1) };
  assertRefuses(() => encodeHeader(tooLong), "bad_header", "longer than 65536 bytes");
});

Deno.test("encodeHeader() and decodeHeader() are inverse", () => {
  const size = fc.bigInt({ min: 0n, max: MAX_WIRE_SIZE });
  const md5 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => encodeHex(bytes));
  const scalar = fc.oneof(fc.string({ unit: "binary" }), fc.boolean(), fc.integer());
  const headers = fc.record({
    filename: fc.string({ unit: "binary" }),
    md5: fc.option(md5),
    total_size: fc.option(size),
    size,
    offset: size,
    "unknown key": fc.array(scalar),
  }, { requiredKeys: [] });
  const property = fc.property(headers, (keys) => {
    assertEquals({ ...decodeHeader(encodeHeader(keys)) }, header(keys));
  });
  fc.assert(property, { seed: 2, numRuns: 200 });
});

Deno.test("encodeHeader() keeps a name with an unpaired surrogate, so that it can be refused as a name", () => {
  assertEquals(decodeHeader(encodeHeader({ filename: "a\ud800" })).filename, "a\ud800");
});
