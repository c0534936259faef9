/**
 * The bytes of the delta extension, encoded independently of ferry.
 *
 * @module
 */

import { createXXHash3 } from "hash-wasm";

/** An integer of variable length. */
export function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return [...bytes, value];
}

/** Ranges, each given by its start and its length. */
export function encodeRanges(...ranges: readonly [number, number][]): Uint8Array<ArrayBuffer> {
  let end = 0;
  return new Uint8Array(ranges.flatMap(([start, length]) => {
    const gap = start - end;
    end = start + length;
    return [...varint(gap), ...varint(length)];
  }));
}

/** A part of a recipe: literal bytes, or a copy from an offset of a length. */
export type RecipePart = Uint8Array | { from: number; size: number };

/** A recipe. Literals and copies may come in any order. */
export function encodeRecipe(...parts: readonly RecipePart[]): Uint8Array<ArrayBuffer> {
  const pieces: BlobPart[] = [];
  let afterLiteral = false;
  let expected = 0;
  const put = (bytes: number[]) => pieces.push(new Uint8Array(bytes));
  for (const part of parts) {
    if (part instanceof Uint8Array) {
      if (afterLiteral) put([0]);
      put(varint(part.length));
      pieces.push(part as Uint8Array<ArrayBuffer>);
      afterLiteral = true;
    } else {
      if (!afterLiteral) put([0]);
      const distance = part.from - expected;
      put([...varint(part.size), ...varint(distance < 0 ? -2 * distance - 1 : 2 * distance)]);
      expected = part.from + part.size;
      afterLiteral = false;
    }
  }
  const size = pieces.reduce((sum, piece) => sum + (piece as Uint8Array).length, 0);
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece as Uint8Array, at);
    at += (piece as Uint8Array).length;
  }
  return all;
}

/** The first bytes of the strong hashes of blocks. */
export async function strongHashes(
  bytes: Uint8Array,
  block: number,
  strong: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const hasher = await createXXHash3();
  const count = Math.ceil(bytes.length / block);
  const all = new Uint8Array(count * strong);
  for (let at = 0; at < count; at++) {
    const hash = hasher.init().update(bytes.subarray(at * block, (at + 1) * block));
    all.set(hash.digest("binary").subarray(0, strong), at * strong);
  }
  return all;
}
