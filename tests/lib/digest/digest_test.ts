import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import {
  checksumOfBytes,
  createDigest,
  md5Of,
  PrefixDigest,
  type PrefixDigestOptions,
  resumeMd5,
} from "../../../lib/digest/digest.ts";
import {
  type Algorithm,
  algorithmOf,
  ALGORITHMS,
  emptyChecksum,
  hexOf,
  isMd5,
  sameChecksum,
} from "../../../lib/core/checksum.ts";
import fc from "../../support/properties.ts";

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

/** FIPS 180-4's example and `printf '' | sha256sum`; `printf a | xxhsum -H2` and `xxhsum -H2 </dev/null`. */
const OTHER_VECTORS: readonly (readonly [Algorithm, string, string])[] = [
  ["sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["xxh128", "", "99aa06d3014798d86001c324468d497f"],
  ["xxh128", "a", "a96faf705af16834e6c632b61e964e1f"],
];

const EMPTY_MD5 = emptyChecksum("md5");

/** Bytes that differ from place to place. */
const content = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 167) >> 3);

async function checksumOfPieces(algorithm: Algorithm, ...pieces: Uint8Array[]): Promise<string> {
  const digest = await createDigest(algorithm);
  for (const piece of pieces) digest.update(piece);
  return digest.checksum();
}

Deno.test("checksums are those of RFC 1321, FIPS 180-4 and xxhsum", async () => {
  for (const [text, md5] of VECTORS) {
    assertEquals(md5Of(bytes(text)), md5);
    assertEquals(await checksumOfBytes("md5", bytes(text)), md5);
    assertEquals(await checksumOfPieces("md5", bytes(text)), md5);
  }
  for (const [algorithm, text, hex] of OTHER_VECTORS) {
    assertEquals(await checksumOfBytes(algorithm, bytes(text)), `${algorithm}:${hex}`);
    assertEquals(await checksumOfPieces(algorithm, bytes(text)), `${algorithm}:${hex}`);
  }
});

Deno.test("emptyChecksum() is that of no bytes", async () => {
  for (const algorithm of ALGORITHMS) {
    assertEquals(emptyChecksum(algorithm), await checksumOfPieces(algorithm));
  }
});

Deno.test("createDigest() gives the same however the bytes are cut", async () => {
  await fc.assert(fc.asyncProperty(
    fc.constantFrom(...ALGORITHMS),
    fc.uint8Array({ maxLength: 1000 }),
    fc.array(fc.nat(200), { maxLength: 20 }),
    async (algorithm, content, cuts) => {
      const digest = await createDigest(algorithm);
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
      assertEquals(digest.checksum(), await checksumOfBytes(algorithm, content));
    },
  ));
});

Deno.test("createDigest() digests two streams at once without mixing them", async () => {
  for (const algorithm of ALGORITHMS) {
    const [a, b] = [await createDigest(algorithm), await createDigest(algorithm)];
    for (const letter of "abc") {
      a.update(bytes(letter));
      b.update(bytes(letter.toUpperCase()));
    }
    assertEquals(a.checksum(), await checksumOfBytes(algorithm, bytes("abc")));
    assertEquals(b.checksum(), await checksumOfBytes(algorithm, bytes("ABC")));
  }
});

Deno.test("algorithmOf() and hexOf() take a checksum apart", () => {
  for (const algorithm of ALGORITHMS) {
    const checksum = emptyChecksum(algorithm);
    assertEquals(algorithmOf(checksum), algorithm);
    assert(checksum.endsWith(hexOf(checksum)) && /^[0-9a-f]+$/.test(hexOf(checksum)));
    for (const text of [checksum.slice(0, -1), `${checksum}0`, `x${checksum}`]) {
      assertEquals(algorithmOf(text), undefined, text);
    }
  }
  for (const text of ["sha256", "sha256:", `md5:${EMPTY_MD5}`, `sha512:${EMPTY_MD5}`, ":", ""]) {
    assertEquals(algorithmOf(text), undefined, text);
  }
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
      emptyChecksum("xxh128"),
      "md5 of the file, if you please..",
    ]
  ) assert(!isMd5(text), JSON.stringify(text));
});

Deno.test("sameChecksum() is true of equal texts alone", () => {
  assert(sameChecksum(EMPTY_MD5, EMPTY_MD5));
  assert(sameChecksum("", ""));
  assert(!sameChecksum(EMPTY_MD5, EMPTY_MD5.slice(1)));
  assert(!sameChecksum(EMPTY_MD5, ""));
  assert(!sameChecksum("é", "e"), "as long in letters, not in bytes");
  for (let at = 0; at < EMPTY_MD5.length; at++) {
    const other = `${EMPTY_MD5.slice(0, at)}x${EMPTY_MD5.slice(at + 1)}`;
    assert(!sameChecksum(EMPTY_MD5, other), `digit ${at} was not looked at`);
  }
});

/** Every way in which a file may be received. */
const WAYS: readonly PrefixDigestOptions[] = ALGORITHMS.flatMap((algorithm) =>
  [true, false].map((proof) => ({ algorithm, proof }))
);

const MD5_WITH_PROOF = { algorithm: "md5", proof: true } as const;

async function digestAt(size: number, way: PrefixDigestOptions): Promise<PrefixDigest> {
  const digest = await PrefixDigest.create(way);
  digest.update(content(size));
  return digest;
}

Deno.test("PrefixDigest is a digest that counts", async () => {
  for (const way of WAYS) {
    const digest = await PrefixDigest.create(way);
    digest.update(content(100));
    digest.update(content(7));
    assertEquals(digest.size, 107);
    const all = new Uint8Array([...content(100), ...content(7)]);
    assertEquals(digest.checksum(), await checksumOfBytes(way.algorithm, all));
  }
});

Deno.test("PrefixDigest can be saved between two blocks of md5 alone", async () => {
  for (const way of WAYS) {
    const digest = await PrefixDigest.create(way);
    assertEquals(digest.save()?.size, 0);
    for (let size = 1; size <= 128; size++) {
      digest.update(Uint8Array.of(size));
      assertEquals(digest.save()?.size, size % 64 === 0 ? size : undefined);
    }
  }
});

Deno.test("PrefixDigest goes on behind what was saved, where that is enough", async () => {
  const all = content(3000);
  for (const way of WAYS) {
    for (const size of [0, 64, 256, 1024, 2944]) {
      // What was saved goes through a file.
      const saved = JSON.parse(JSON.stringify((await digestAt(size, way)).save()));
      const digest = await PrefixDigest.resume(saved, way);
      if (way.algorithm === "sha256") {
        assertEquals(digest, undefined, "the state of a sha256 cannot be put away");
        continue;
      }
      assert(digest);
      assertEquals(digest.size, size);
      assert(digest.matches(saved));
      digest.update(all.subarray(size));
      assertEquals(digest.size, all.length);
      assertEquals(digest.checksum(), await checksumOfBytes(way.algorithm, all));
    }
  }
});

Deno.test("PrefixDigest.resume() says where what was saved is not enough", async () => {
  const quick = (await digestAt(64, { algorithm: "md5", proof: false })).save()!;
  const proven = (await digestAt(64, MD5_WITH_PROOF)).save()!;
  const fast = (await digestAt(64, { algorithm: "xxh128", proof: false })).save()!;
  assertEquals(await PrefixDigest.resume(quick, MD5_WITH_PROOF), undefined);
  assertEquals(await PrefixDigest.resume(fast, MD5_WITH_PROOF), undefined);
  assertEquals(await PrefixDigest.resume(quick, { algorithm: "xxh128", proof: false }), undefined);
  assert(await PrefixDigest.resume(proven, { algorithm: "xxh128", proof: false }));
});

Deno.test("PrefixDigest.matches() compares what both know, and only that", async () => {
  const [md5, proven, fast, sha256] = await Promise.all([
    digestAt(64, { algorithm: "md5", proof: false }),
    digestAt(64, MD5_WITH_PROOF),
    digestAt(64, { algorithm: "xxh128", proof: false }),
    digestAt(64, { algorithm: "sha256", proof: true }),
  ]);
  assert(proven.matches(md5.save()!) && proven.matches(fast.save()!));
  assert(sha256.matches(fast.save()!));
  assert(!sha256.matches(md5.save()!), "nothing was compared");
  const other = await PrefixDigest.create(MD5_WITH_PROOF);
  other.update(content(64).fill(1));
  assert(!other.matches(proven.save()!) && !other.matches(md5.save()!));
  assert(!(await digestAt(128, MD5_WITH_PROOF)).matches(proven.save()!));
});

Deno.test("PrefixDigest does not change by being saved or asked", async () => {
  const all = content(200);
  for (const way of WAYS) {
    const digest = await digestAt(128, way);
    assertEquals(digest.save(), digest.save());
    assertEquals(await digest.facts(), await digest.facts());
    digest.update(all.subarray(128));
    assertEquals(digest.checksum(), await checksumOfBytes(way.algorithm, all));
  }
});

Deno.test("PrefixDigest.facts() tells what is computed of the prefix", async () => {
  for (const size of [64, 640, 6400]) {
    const prefix = content(size);
    const { state, ...facts } = await (await digestAt(size, MD5_WITH_PROOF)).facts();
    const xxh128 = hexOf(await checksumOfBytes("xxh128", prefix));
    assertEquals(facts, { size, md5: md5Of(prefix), xxh128 });
    assert(isMd5(state!));
    const sha256 = await (await digestAt(size, { algorithm: "sha256", proof: true })).facts();
    assertEquals(sha256, { size, md5: null, xxh128, state: null });
    const quick = await (await digestAt(size, { algorithm: "md5", proof: false })).facts();
    assertEquals(quick, { size, md5: md5Of(prefix), xxh128: null, state });
  }
  // Behind no bytes the words are those that RFC 1321, section 3.3, begins with.
  const none = await (await digestAt(0, MD5_WITH_PROOF)).facts();
  assertEquals(none.state, "0123456789abcdeffedcba9876543210");
});

Deno.test("resumeMd5() goes on behind what someone else digested", async () => {
  const all = content(1000);
  for (const size of [0, 64, 960]) {
    const { state } = await (await digestAt(size, MD5_WITH_PROOF)).facts();
    const digest = resumeMd5(state!, size);
    digest.update(all.subarray(size));
    assertEquals(digest.checksum(), createHash("md5").update(all).digest("hex"));
  }
});

Deno.test("a state that is not whole or not hexadecimal is not gone on with", async () => {
  const saved = (await digestAt(64, MD5_WITH_PROOF)).save()!;
  for (const state of ["ab", "abc", "ab".repeat(15), "zz".repeat(16)]) {
    assertThrows(() => resumeMd5(state, 64), Error);
    await assertRejects(() => PrefixDigest.resume({ ...saved, md5: state }, MD5_WITH_PROOF), Error);
  }
  for (const xxh128 of ["00", "abc", "zz".repeat(580)]) {
    await assertRejects(() => PrefixDigest.resume({ ...saved, xxh128 }, MD5_WITH_PROOF), Error);
  }
});
