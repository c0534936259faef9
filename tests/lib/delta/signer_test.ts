import { assertEquals } from "@std/assert";
import { assertCode } from "../../support/assertions.ts";
import {
  assertRecordCount,
  coarseBlock,
  finerBlock,
  MAX_RECORDS,
  strongBytes,
} from "../../../lib/delta/block_sizes.ts";
import { Signer } from "../../../lib/delta/signer.ts";
import { utf8 } from "../../support/bytes.ts";
import fc from "../../support/properties.ts";
import { randomBytes } from "../../support/random_file.ts";

/** The weak hash as the protocol defines it. */
function weakOf(bytes: Uint8Array): number {
  let hash = 0n;
  for (const byte of bytes) hash = BigInt.asUintN(64, hash * 0x9e3779b97f4a7c15n + BigInt(byte));
  return Number(hash >> 32n);
}

async function sign(bytes: Uint8Array, block: number, cuts: number[]): Promise<Uint8Array[]> {
  const signer = await Signer.create({ size: bytes.length, block, rolling: true });
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    pieces.push(signer.update(bytes.subarray(from, from + cut)));
    from += cut;
  }
  pieces.push(signer.endRange());
  const records = pieces.flatMap((piece) => [...piece]);
  assertEquals(records.length, Math.ceil(bytes.length / block) * signer.recordBytes);
  return Array.from(
    { length: records.length / signer.recordBytes },
    (_, i) => Uint8Array.from(records.slice(i * signer.recordBytes, (i + 1) * signer.recordBytes)),
  );
}

Deno.test("Signer gives the first bytes of XXH3-64, and the weak hash in front if it is wanted", async () => {
  const signer = await Signer.create({ size: 5, block: 64, rolling: false });
  assertEquals([...signer.update(utf8.encode("hello"))], []);
  assertEquals(signer.endRange().toHex(), "9555e8555c62dcfd".slice(0, 2 * signer.strong));
  assertEquals(signer.endRange().length, 0);
  const [record] = await sign(utf8.encode("hello"), 64, []);
  assertEquals(new DataView(record!.buffer).getUint32(0, true), weakOf(utf8.encode("hello")));
  assertEquals(record!.subarray(4).toHex(), "9555e8555c62dcfd".slice(0, 2 * signer.strong));
});

Deno.test("Signer.update() takes ranges in any pieces", async () => {
  const bytes = randomBytes(200_000, 5);
  const blocks = fc.constantFrom(64, 256, 4096, 131_072);
  const cuts = fc.array(fc.nat(70_000), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(blocks, fc.nat(bytes.length), cuts, async (block, size, cuts) => {
      const content = bytes.subarray(0, size);
      const records = await sign(content, block, cuts);
      assertEquals(records, await sign(content, block, []));
      for (const [index, record] of records.entries()) {
        if (index % 100 !== 0) continue;
        const weak = weakOf(content.subarray(index * block, (index + 1) * block));
        assertEquals(new DataView(record.buffer).getUint32(0, true), weak);
      }
    }),
    { numRuns: 15 },
  );
});

Deno.test("blocks grow with the square root of a file, their number and their hashes slowly", () => {
  const [GIB, TIB] = [2 ** 30, 2 ** 40];
  assertEquals([0, 1, 2 ** 20, GIB, TIB, 64 * TIB].map(coarseBlock), [
    2048,
    2048,
    2048,
    65536,
    2 ** 21,
    2 ** 22,
  ]);
  assertEquals([65536, 4096, 256].map(finerBlock), [4096, 256, undefined]);
  assertEquals(finerBlock(1024), 256);
  assertEquals([strongBytes(0, 64), strongBytes(2 ** 20, 2048), strongBytes(GIB, 65536)], [
    4,
    4,
    4,
  ]);
  assertEquals([strongBytes(GIB, 256), strongBytes(TIB, 2 ** 21), strongBytes(2 ** 53, 64)], [
    5,
    6,
    8,
  ]);
});

Deno.test("assertRecordCount() refuses signatures of too many blocks", async () => {
  assertRecordCount(MAX_RECORDS * 64, 64);
  await assertCode("too_large", () => assertRecordCount(MAX_RECORDS * 64 + 1, 64), "2097152");
});
