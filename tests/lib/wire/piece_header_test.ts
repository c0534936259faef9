import { assertEquals, assertThrows } from "@std/assert";
import { crc32 } from "node:zlib";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  decodePieceHeader,
  encodePieceHeader,
  MAX_PIECE_BYTES,
  MAX_PIECE_GROWTH,
  PIECE_HEADER_BYTES,
  type PieceHeader,
} from "../../../lib/wire/piece_header.ts";

function encoded(header: PieceHeader): Uint8Array {
  const bytes = new Uint8Array(PIECE_HEADER_BYTES);
  encodePieceHeader(header, bytes);
  return bytes;
}

/** A header with a right checksum, whatever it says. */
function forged(kind: number, content: number, size: number): Uint8Array {
  const bytes = new Uint8Array(PIECE_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kind + content * 256, true);
  view.setUint32(4, size, true);
  view.setUint32(8, crc32(bytes.subarray(0, 8)), true);
  return bytes;
}

function codeOf(bytes: Uint8Array): string {
  return assertThrows(() => decodePieceHeader(bytes), FerryError).code;
}

Deno.test("decodePieceHeader() reads what encodePieceHeader() writes", () => {
  const most = MAX_PIECE_BYTES;
  const headers: PieceHeader[] = [
    { kind: "raw", content: 1, size: 1 },
    { kind: "raw", content: most, size: most },
    { kind: "first", content: 65536, size: 1 },
    { kind: "next", content: most, size: most + MAX_PIECE_GROWTH },
    { kind: "forget", content: 0, size: 0 },
  ];
  for (const header of headers) assertEquals(decodePieceHeader(encoded(header)), header);
  assertEquals(encoded(headers[2]!), forged(1, 65536, 1));
});

Deno.test("decodePieceHeader() refuses what is beyond the limits", () => {
  const most = MAX_PIECE_BYTES;
  for (
    const [kind, content, size] of [
      [0, most + 1, most + 1],
      [1, most + 1, 10],
      [2, most, most + MAX_PIECE_GROWTH + 1],
      [1, 1, 2 ** 32 - 1],
      [0, 5, 4],
      [0, 0, 0],
      [1, 0, 5],
      [2, 5, 0],
      [3, 0, 5],
      [3, 5, 0],
      [4, 5, 5],
      [255, 0, 0],
    ] as const
  ) assertEquals(codeOf(forged(kind, content, size)), "bad_header", `${kind} ${content} ${size}`);
});

Deno.test("decodePieceHeader() sees every flipped bit", () => {
  const bytes = encoded({ kind: "next", content: 65536, size: 12345 });
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assertEquals(codeOf(damaged), "checksum_mismatch", `bit ${bit}`);
  }
});
