import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { ALGORITHMS, hexOf, isMd5 } from "../../../lib/core/checksum.ts";
import { PrefixDigest, type PrefixDigestOptions } from "../../../lib/digest/prefix_digest.ts";
import { DIGESTS, md5Of } from "../../support/digests.ts";

/** Bytes that differ from place to place. */
const content = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 167) >> 3);

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
    assertEquals(digest.checksum(), await DIGESTS.checksumOf(way.algorithm, all));
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
      assertEquals(digest.checksum(), await DIGESTS.checksumOf(way.algorithm, all));
    }
  }
});

Deno.test("PrefixDigest goes on behind any number of bytes that was saved exactly", async () => {
  const all = content(1000);
  for (const way of WAYS.filter(({ algorithm }) => algorithm !== "sha256")) {
    for (const size of [0, 1, 63, 64, 65, 127, 500, 999, 1000]) {
      const saved = JSON.parse(JSON.stringify((await digestAt(size, way)).saveExactly()));
      const digest = (await PrefixDigest.resume(saved, way))!;
      assertEquals(digest.size, size);
      assert(digest.matches(saved));
      assert(!(await digestAt(size + 1, way)).matches(saved));
      if (size % 64 > 0 && way.algorithm === "md5") {
        const other = await PrefixDigest.create(way);
        other.update(content(size).with(size - 1, 1));
        assert(!other.matches(saved), "only the bytes after the last block differ");
      }
      digest.update(all.subarray(size));
      assertEquals(digest.checksum(), await DIGESTS.checksumOf(way.algorithm, all));
    }
  }
  const { rest: _, ...cut } = (await digestAt(65, MD5_WITH_PROOF)).saveExactly();
  await assertRejects(() => PrefixDigest.resume(cut, MD5_WITH_PROOF), RangeError);
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
    assertEquals(digest.checksum(), await DIGESTS.checksumOf(way.algorithm, all));
  }
});

Deno.test("PrefixDigest.facts() tells what is computed of the prefix", async () => {
  for (const size of [64, 640, 6400]) {
    const prefix = content(size);
    const { state, ...facts } = await (await digestAt(size, MD5_WITH_PROOF)).facts();
    const xxh128 = hexOf(await DIGESTS.checksumOf("xxh128", prefix));
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

Deno.test("Digests.resumeMd5() goes on behind what someone else digested", async () => {
  const all = content(1000);
  for (const size of [0, 64, 960]) {
    const { state } = await (await digestAt(size, MD5_WITH_PROOF)).facts();
    const digest = DIGESTS.resumeMd5(state!, size);
    digest.update(all.subarray(size));
    assertEquals(digest.checksum(), createHash("md5").update(all).digest("hex"));
  }
});

Deno.test("a state that is not whole or not hexadecimal is not gone on with", async () => {
  const saved = (await digestAt(64, MD5_WITH_PROOF)).save()!;
  for (const state of ["ab", "abc", "ab".repeat(15), "zz".repeat(16)]) {
    assertThrows(() => DIGESTS.resumeMd5(state, 64), Error);
    await assertRejects(() => PrefixDigest.resume({ ...saved, md5: state }, MD5_WITH_PROOF), Error);
  }
  for (const xxh128 of ["00", "abc", "zz".repeat(580)]) {
    await assertRejects(() => PrefixDigest.resume({ ...saved, xxh128 }, MD5_WITH_PROOF), Error);
  }
});
