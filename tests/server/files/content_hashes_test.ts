import { assert, assertEquals } from "@std/assert";
import type { Part } from "../../../lib/delta/parts.ts";
import { BlockHasher, ObservedParts } from "../../../server/files/content_hashes.ts";
import { MIB } from "../../support/bytes.ts";
import { strongHashes } from "../../support/delta_frames.ts";
import { noise } from "../../support/stored_files.ts";

const BLOCK = 1024;

Deno.test("ObservedParts keeps nothing of copies that are shorter than a block", async () => {
  const hasher = await BlockHasher.create(BLOCK, 4 * MIB);
  const basis = { block: BLOCK, hashes: new Uint8Array(8) };
  const part = Promise.resolve({ size: 1, from: 0 });
  const parts = { next: () => part, read: () => Promise.resolve(0) };
  const observed = new ObservedParts(parts, { basis, hasher: hasher! });
  const before = Deno.memoryUsage().heapUsed;
  for (let count = 0; count < 2 * MIB; count++) await observed.next();
  assertEquals(observed.copied, 2 * MIB);
  const kept = Deno.memoryUsage().heapUsed - before;
  assert(kept < 64 * MIB, `${kept} bytes for ${2 * MIB} parts`);
});

Deno.test("ObservedParts takes the hash of a block only where a copy contains all of it", async () => {
  const old = noise(8 * BLOCK, 1);
  const parts: Part[] = [
    { size: BLOCK, from: undefined },
    { size: BLOCK, from: 2 * BLOCK },
    { size: BLOCK / 2, from: 5 * BLOCK },
    { size: 2 * BLOCK, from: 3 * BLOCK + BLOCK / 2 },
    { size: BLOCK / 2, from: 0 },
    { size: 2 * BLOCK, from: BLOCK },
  ];
  const literal = noise(BLOCK, 2);
  const content = await new Blob(
    parts.map(({ size, from }) => from === undefined ? literal : old.subarray(from, from + size)),
  ).bytes();
  // Each known hash is a wrong one, which shows where it was taken.
  const hashes = new Uint8Array(8 * 8).map((_, i) => 100 + (i >> 3));
  const expected = await strongHashes(content, BLOCK, 8);
  const taken: [number, number][] = [[1, 2], [3, 4], [5, 1], [6, 2]];
  for (const [block, of] of taken) expected.fill(100 + of, block * 8, block * 8 + 8);
  for (const ahead of [1, parts.length]) {
    const hasher = await BlockHasher.create(BLOCK, content.length);
    const left = parts.values();
    const source = {
      next: () => Promise.resolve(left.next().value ?? null),
      read: () => Promise.resolve(0),
    };
    const observed = new ObservedParts(source, {
      basis: { block: BLOCK, hashes },
      hasher: hasher!,
    });
    for (let [asked, at] = [0, 0]; at < content.length;) {
      let size = 0;
      for (const end = asked + ahead; asked < end; asked++) size += (await observed.next())!.size;
      observed.add(content.subarray(at, at + size));
      at += size;
    }
    assertEquals(observed.finish()!.hashes, expected, `${ahead} parts at a time`);
  }
});
