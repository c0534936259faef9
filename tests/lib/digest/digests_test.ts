import { assert, assertEquals } from "@std/assert";
import { Digests } from "../../../lib/digest/digests.ts";
import { type Algorithm, ALGORITHMS, emptyChecksum } from "../../../lib/core/checksum.ts";
import fc from "../../support/properties.ts";
import { utf8 } from "../../support/bytes.ts";

fc.configureGlobal({ seed: 19 });

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

/** FIPS 180-4's example and `printf '' | sha256sum`; `printf a | xxhsum -H2` and `xxhsum -H2 </dev/null`. */
const OTHER_VECTORS: readonly (readonly [Algorithm, string, string])[] = [
  ["sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["xxh128", "", "99aa06d3014798d86001c324468d497f"],
  ["xxh128", "a", "a96faf705af16834e6c632b61e964e1f"],
];

const DIGESTS = new Digests();

async function checksumOfPieces(algorithm: Algorithm, ...pieces: Uint8Array[]): Promise<string> {
  const digest = await DIGESTS.create(algorithm);
  for (const piece of pieces) digest.update(piece);
  return digest.checksum();
}

Deno.test("checksums are those of RFC 1321, FIPS 180-4 and xxhsum", async () => {
  for (const [text, md5] of VECTORS) {
    assertEquals(DIGESTS.md5Of(utf8.encode(text)), md5);
    assertEquals(await DIGESTS.checksumOf("md5", utf8.encode(text)), md5);
    assertEquals(await checksumOfPieces("md5", utf8.encode(text)), md5);
  }
  for (const [algorithm, text, hex] of OTHER_VECTORS) {
    assertEquals(await DIGESTS.checksumOf(algorithm, utf8.encode(text)), `${algorithm}:${hex}`);
    assertEquals(await checksumOfPieces(algorithm, utf8.encode(text)), `${algorithm}:${hex}`);
  }
});

Deno.test("emptyChecksum() is that of no bytes", async () => {
  for (const algorithm of ALGORITHMS) {
    assertEquals(emptyChecksum(algorithm), await checksumOfPieces(algorithm));
  }
});

Deno.test("Digests.create() gives the same however the bytes are cut", async () => {
  await fc.assert(fc.asyncProperty(
    fc.constantFrom(...ALGORITHMS),
    fc.uint8Array({ maxLength: 1000 }),
    fc.array(fc.nat(200), { maxLength: 20 }),
    async (algorithm, content, cuts) => {
      const digest = await DIGESTS.create(algorithm);
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
      assertEquals(digest.checksum(), await DIGESTS.checksumOf(algorithm, content));
    },
  ));
});

Deno.test("Digests.create() digests two streams at once without mixing them", async () => {
  for (const algorithm of ALGORITHMS) {
    const [a, b] = [await DIGESTS.create(algorithm), await DIGESTS.create(algorithm)];
    for (const letter of "abc") {
      a.update(utf8.encode(letter));
      b.update(utf8.encode(letter.toUpperCase()));
    }
    assertEquals(a.checksum(), await DIGESTS.checksumOf(algorithm, utf8.encode("abc")));
    assertEquals(b.checksum(), await DIGESTS.checksumOf(algorithm, utf8.encode("ABC")));
  }
});

Deno.test("Digests do not share what they compute with", async () => {
  const [one, other] = [new Digests(), new Digests()];
  assert(one.threads !== other.threads);
  const [a, b] = [await one.create("xxh128"), await other.create("xxh128")];
  a.update(utf8.encode("a"));
  b.update(utf8.encode("b"));
  assertEquals(a.checksum(), await DIGESTS.checksumOf("xxh128", utf8.encode("a")));
  assertEquals(b.checksum(), await DIGESTS.checksumOf("xxh128", utf8.encode("b")));
});
