import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  createDigest,
  createPrefixProof,
  EMPTY_MD5,
  isMd5,
  md5Of,
  PrefixDigest,
  prefixFacts,
  resumeDigest,
  sameDigest,
} from "../lib/checksum.ts";

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

/** Bytes that differ from place to place. */
const content = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 167) >> 3);

async function proofOf(...pieces: Uint8Array[]): Promise<string> {
  const proof = await createPrefixProof();
  for (const piece of pieces) proof.update(piece);
  return proof.hex();
}

async function savedAt(size: number) {
  const digest = await PrefixDigest.create();
  digest.update(content(size));
  return digest.save()!;
}

Deno.test("createPrefixProof() gives XXH3-128 as xxhsum prints it", async () => {
  // `printf '' | xxhsum -H2` and `printf a | xxhsum -H2`
  assertEquals(await proofOf(), "99aa06d3014798d86001c324468d497f");
  assertEquals(await proofOf(bytes("a")), "a96faf705af16834e6c632b61e964e1f");
});

Deno.test("createPrefixProof() gives the same however the bytes are cut", async () => {
  const all = content(1000);
  for (const cut of [0, 1, 240, 241, 999]) {
    assertEquals(await proofOf(all.subarray(0, cut), all.subarray(cut)), await proofOf(all));
  }
});

Deno.test("createPrefixProof() makes proofs that do not mix", async () => {
  const [a, b] = [await createPrefixProof(), await createPrefixProof()];
  a.update(bytes("a"));
  b.update(bytes("b"));
  assertEquals([a.hex(), b.hex()], [await proofOf(bytes("a")), await proofOf(bytes("b"))]);
});

Deno.test("PrefixDigest is an md5 that counts", async () => {
  for (const [text, md5] of VECTORS) {
    const digest = await PrefixDigest.create();
    digest.update(bytes(text));
    assertEquals(digest.size, bytes(text).length);
    assertEquals(digest.hex(), md5);
  }
});

Deno.test("PrefixDigest can be saved between two blocks of md5 alone", async () => {
  const digest = await PrefixDigest.create();
  assertEquals(digest.save()?.size, 0);
  for (let size = 1; size <= 128; size++) {
    digest.update(Uint8Array.of(size));
    assertEquals(digest.save()?.size, size % 64 === 0 ? size : undefined);
  }
});

Deno.test("PrefixDigest goes on behind what was saved", async () => {
  const all = content(3000);
  for (const size of [0, 64, 256, 1024, 2944]) {
    // What was saved goes through a file.
    const saved = JSON.parse(JSON.stringify(await savedAt(size)));
    const digest = await PrefixDigest.create(saved);
    assertEquals(digest.size, size);
    assertEquals(digest.save(), saved);
    digest.update(all.subarray(size, 2944));
    assertEquals((await prefixFacts(digest.save()!)).xxh128, await proofOf(all.subarray(0, 2944)));
    digest.update(all.subarray(2944));
    assertEquals([digest.size, digest.hex()], [all.length, md5Of(all)]);
  }
});

Deno.test("PrefixDigest does not change by being saved", async () => {
  const all = content(200);
  const digest = await PrefixDigest.create();
  digest.update(all.subarray(0, 128));
  assertEquals(digest.save(), digest.save());
  digest.update(all.subarray(128));
  assertEquals(digest.hex(), md5Of(all));
});

Deno.test("prefixFacts() tells the digests of the prefix, and the words of md5 behind it", async () => {
  for (const size of [64, 640, 6400]) {
    const prefix = content(size);
    const { state, ...facts } = await prefixFacts(await savedAt(size));
    assertEquals(facts, { size, md5: md5Of(prefix), xxh128: await proofOf(prefix) });
    assert(isMd5(state));
  }
  // Behind no bytes the words are those that RFC 1321, section 3.3, begins with.
  assertEquals((await prefixFacts(await savedAt(0))).state, "0123456789abcdeffedcba9876543210");
});

Deno.test("resumeDigest() goes on behind what someone else digested", async () => {
  const all = content(1000);
  for (const size of [0, 64, 960]) {
    const { state } = await prefixFacts(await savedAt(size));
    const digest = resumeDigest(state, size);
    digest.update(all.subarray(size));
    assertEquals(digest.hex(), md5Of(all));
  }
});

Deno.test("a state that is not whole or not hexadecimal is not gone on with", async () => {
  for (const state of ["", "ab", "abc", "ab".repeat(15), "zz".repeat(16)]) {
    assertThrows(() => resumeDigest(state, 64), Error);
    await assertRejects(
      async () => PrefixDigest.create({ ...await savedAt(64), md5: state }),
      Error,
    );
    await assertRejects(async () => prefixFacts({ ...await savedAt(64), md5: state }), Error);
  }
  for (const xxh128 of ["", "00", "abc", "zz".repeat(580)]) {
    await assertRejects(async () => PrefixDigest.create({ ...await savedAt(64), xxh128 }), Error);
    await assertRejects(async () => prefixFacts({ ...await savedAt(64), xxh128 }), Error);
  }
});
