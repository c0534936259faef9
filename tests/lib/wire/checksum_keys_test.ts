import { assertEquals } from "@std/assert";
import { algorithmOf, ALGORITHMS, emptyChecksum } from "../../../lib/core/checksum.ts";
import { checksumKeys } from "../../../lib/wire/checksum_keys.ts";
import { decodeHeader, encodeHeader } from "../../../lib/wire/codec.ts";
import { assertRefuses, decode } from "../../support/headers.ts";

const EMPTY_MD5 = emptyChecksum("md5");
const EMPTY_SHA256 = emptyChecksum("sha256");

Deno.test("the key checksum takes what algorithmOf() knows, and the algorithms", () => {
  const digits = ["a".repeat(31), "a".repeat(32), "a".repeat(63), "a".repeat(64), "A".repeat(32)];
  const names = [...ALGORITHMS, "sha1"];
  const texts = [...names, ...digits, ...names.flatMap((n) => digits.map((d) => `${n}:${d}`))];
  for (const checksum of texts) {
    const read = () => decode(JSON.stringify({ checksum }));
    const known = ALGORITHMS.find((name) => name === checksum) ?? algorithmOf(checksum);
    if (known !== undefined) assertEquals(read().algorithm, known);
    else assertRefuses(read, "bad_header", "checksum is none of");
  }
});

Deno.test("decodeHeader() reads which checksum a body has, and what it is where that is known", () => {
  const read = (keys: Record<string, unknown>) => {
    const { algorithm, checksum } = decode(JSON.stringify(keys));
    return [algorithm, checksum];
  };
  assertEquals(read({ md5: EMPTY_MD5 }), ["md5", EMPTY_MD5]);
  assertEquals(read({ md5: EMPTY_MD5, checksum: "md5" }), ["md5", EMPTY_MD5]);
  assertEquals(read({ checksum: "sha256" }), ["sha256", null]);
  assertEquals(read({ checksum: EMPTY_SHA256, md5: EMPTY_MD5 }), ["sha256", EMPTY_SHA256]);
  assertEquals(read({ checksum: emptyChecksum("xxh128") }), ["xxh128", emptyChecksum("xxh128")]);
  for (const checksum of ["sha512", "sha256:", `md5:${EMPTY_MD5}`, "", EMPTY_SHA256.slice(1)]) {
    const words = "checksum is none of md5, sha256, xxh128, nor a checksum of theirs";
    assertRefuses(() => read({ checksum }), "bad_header", words);
  }
  assertRefuses(() => read({ checksum: null }), "bad_header", "checksum is not a string");
});

Deno.test("checksumKeys() says what decodeHeader() reads", () => {
  for (const algorithm of ["md5", "sha256", "xxh128"] as const) {
    for (const checksum of [null, emptyChecksum(algorithm)]) {
      const decoded = decodeHeader(encodeHeader(checksumKeys(algorithm, checksum)));
      assertEquals([decoded.algorithm, decoded.checksum], [algorithm, checksum]);
    }
  }
});
