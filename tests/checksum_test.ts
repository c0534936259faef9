import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createDigest, EMPTY_MD5, isMd5, md5Of, sameDigest } from "../lib/checksum.ts";

fc.configureGlobal({ seed: 19 });

const bytes = (text: string) => new TextEncoder().encode(text);

/** RFC 1321, appendix A.5. */
const VECTORS: readonly (readonly [string, string])[] = [
  ["", "d41d8cd98f00b204e9800998ecf8427e"],
  ["a", "0cc175b9c0f1b6a831c399e269772661"],
  ["abc", "900150983cd24fb0d6963f7d28e17f72"],
  ["message digest", "f96b697d7cb7938d525a2f31aaf161d0"],
  ["abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"],
  [
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "d174ab98d277d9f5a5611c2c9f419d9f",
  ],
  ["1234567890".repeat(8), "57edf4a22be3c955ac49da2e2107b67a"],
];

Deno.test("md5Of() gives the digests of RFC 1321", () => {
  for (const [text, md5] of VECTORS) assertEquals(md5Of(bytes(text)), md5);
  assertEquals(EMPTY_MD5, md5Of(new Uint8Array()));
});

Deno.test("createDigest() gives the digests of RFC 1321", () => {
  for (const [text, md5] of VECTORS) {
    const digest = createDigest();
    digest.update(bytes(text));
    assertEquals(digest.hex(), md5);
  }
  assertEquals(createDigest().hex(), EMPTY_MD5);
});

Deno.test("createDigest() gives the same however the bytes are cut", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 1000 }),
    fc.array(fc.nat(200), { maxLength: 20 }),
    (content, cuts) => {
      const digest = createDigest();
      const buffer = new Uint8Array(200);
      let at = 0;
      for (const cut of cuts) {
        const piece = buffer.subarray(0, Math.min(cut, content.length - at));
        piece.set(content.subarray(at, at + piece.length));
        digest.update(piece);
        // Whoever feeds it uses the same memory again.
        buffer.fill(0xff);
        at += piece.length;
      }
      digest.update(content.subarray(at));
      assertEquals(digest.hex(), md5Of(content));
    },
  ));
});

Deno.test("createDigest() digests two streams at once without mixing them", () => {
  const [a, b] = [createDigest(), createDigest()];
  for (const letter of "abc") {
    a.update(bytes(letter));
    b.update(bytes(letter.toUpperCase()));
  }
  assertEquals(a.hex(), md5Of(bytes("abc")));
  assertEquals(b.hex(), md5Of(bytes("ABC")));
});

Deno.test("isMd5() is true of 32 lower-case hexadecimal digits alone", () => {
  for (const [, md5] of VECTORS) assert(isMd5(md5), md5);
  for (
    const text of [
      "",
      EMPTY_MD5.slice(1),
      `${EMPTY_MD5}0`,
      EMPTY_MD5.toUpperCase(),
      EMPTY_MD5.replace("d", "g"),
      ` ${EMPTY_MD5}`,
      `${EMPTY_MD5}\n`,
      `${EMPTY_MD5.slice(2)}\n\n`,
      "md5 of the file, if you please..",
    ]
  ) assert(!isMd5(text), JSON.stringify(text));
});

Deno.test("sameDigest() is true of equal texts alone", () => {
  assert(sameDigest(EMPTY_MD5, EMPTY_MD5));
  assert(sameDigest("", ""));
  assert(!sameDigest(EMPTY_MD5, EMPTY_MD5.slice(1)));
  assert(!sameDigest(EMPTY_MD5, ""));
  assert(!sameDigest("é", "e"), "as long in letters, not in bytes");
  for (let at = 0; at < EMPTY_MD5.length; at++) {
    const other = `${EMPTY_MD5.slice(0, at)}x${EMPTY_MD5.slice(at + 1)}`;
    assert(!sameDigest(EMPTY_MD5, other), `digit ${at} was not looked at`);
  }
});
