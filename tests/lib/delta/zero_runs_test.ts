import { assertEquals } from "@std/assert";
import { createStrongHash } from "../../../lib/delta/strong_hash.ts";
import { hashOfZeros, mayBeZeros, ZeroRuns } from "../../../lib/delta/zero_runs.ts";

Deno.test("ZeroRuns.copies() takes zeros from the longest run of the basis, as often as need be", () => {
  const runs = new ZeroRuns();
  assertEquals([...runs.copies()], []);
  for (const at of [64, 256, 320, 384, 576, 640, 704]) runs.addMissing(at, 64);
  assertEquals([...runs.copies()], []);
  for (const at of [0, 128, 192, 512]) runs.addBasis(at, 64);
  assertEquals([...runs.copies()], [
    { at: 64, from: 128, size: 64 },
    { at: 256, from: 128, size: 128 },
    { at: 384, from: 128, size: 64 },
    { at: 576, from: 128, size: 128 },
    { at: 704, from: 128, size: 64 },
  ]);
});

Deno.test("hashOfZeros() is the hash of a block of zeros of any size", async () => {
  const hash = await createStrongHash();
  for (const block of [64, 65_536, 1_048_576]) {
    const zeros = hashOfZeros(hash, block);
    hash.begin();
    hash.update(new Uint8Array(block));
    assertEquals(zeros, hash.end());
  }
});

Deno.test("mayBeZeros() looks at the first bytes only", () => {
  assertEquals(mayBeZeros(new Uint8Array(3)), true);
  assertEquals(mayBeZeros(new Uint8Array(20).fill(1, 16)), true);
  assertEquals(mayBeZeros(new Uint8Array(20).fill(1, 15, 16)), false);
});
