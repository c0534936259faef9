import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { MAX_RANGES, MAX_RANGES_BYTES, RangeCollector, Ranges } from "../../../lib/delta/ranges.ts";
import fc from "../../support/properties.ts";

/** Why encoded ranges are refused. */
function flaw(encoded: number[] | Uint8Array, fileSize: number, unit?: number): string {
  const decode = () => Ranges.decode(Uint8Array.from(encoded), fileSize, unit);
  const error = assertThrows(decode, FerryError);
  assertEquals(error.code, "bad_header");
  return error.reason;
}

Deno.test("Ranges are gaps and lengths in units, and end with the file", () => {
  const ranges = Ranges.decode(Uint8Array.of(1, 2, 0x80, 1, 1), 64 * 132 - 60, 64);
  assertEquals([...ranges], [{ from: 64, size: 128 }, { from: 64 * 131, size: 4 }]);
  assertEquals([ranges.count, ranges.size], [2, 132]);
  assertEquals([...Ranges.decode(new Uint8Array(), 0)], []);
});

Deno.test("Ranges.decode() refuses what is no list of ranges of the file", () => {
  assertEquals(flaw([0, 0], 9), "the ranges are not valid: one is empty");
  assertEquals(flaw([0, 10], 9), "the ranges are not valid: one reaches over the end of the file");
  assertEquals(flaw([0, 1, 3, 1], 4 * 64, 64).includes("over the end"), true);
  assertEquals(flaw([0], 9), "the ranges are not valid: they end in the middle of one");
  assertEquals(flaw([0, 1, 0x80], 9).includes("in the middle"), true);
  const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
  assertEquals(flaw([...huge, ...huge], Number.MAX_SAFE_INTEGER).includes("over the end"), true);
  assertEquals(
    flaw([...huge, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], 9).includes("2^53"),
    true,
  );
  const many = new Uint8Array(2 * MAX_RANGES + 2).fill(1);
  assertEquals(flaw(many, 4 * MAX_RANGES), "the ranges are not valid: there are more than 1048576");
  assertEquals(Ranges.decode(many.subarray(2), 4 * MAX_RANGES).count, MAX_RANGES);
  assertEquals(flaw(new Uint8Array(MAX_RANGES_BYTES + 1), 9).includes("may take 16777216"), true);
});

Deno.test("RangeCollector gives ranges that Ranges.decode() reads, rounded outwards and joined", () => {
  const gaps = fc.array(fc.tuple(fc.nat(300), fc.nat(300)), { maxLength: 2000 });
  fc.assert(fc.property(gaps, fc.constantFrom(1, 64), (gaps, unit) => {
    const size = gaps.reduce((sum, [gap, length]) => sum + gap + length, 0);
    const wanted = new Uint8Array(Math.ceil(size / unit));
    const collector = new RangeCollector(size, unit);
    let position = 0;
    for (const [gap, length] of gaps) {
      collector.add(position += gap, length);
      if (length > 0) {
        wanted.fill(1, Math.floor(position / unit), Math.ceil((position + length) / unit));
      }
      position += length;
    }
    const expected = collector.count;
    const ranges = collector.finish();
    assertEquals(ranges.count, expected);
    const decoded = new Uint8Array(wanted.length);
    let end = -1;
    for (const range of Ranges.decode(ranges.encoded, size, unit)) {
      assertEquals(range.from > end && range.from % unit === 0, true);
      end = range.from + range.size;
      decoded.fill(1, range.from / unit, Math.ceil(end / unit));
    }
    assertEquals(decoded, wanted);
  }));
});
