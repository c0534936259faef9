import { assertEquals } from "@std/assert";
import { clip, gapsOf, intersection, sizeOf, type Span, union } from "../../../lib/delta/spans.ts";
import fc from "../../support/properties.ts";

const SIZE = 60;

/** Which bytes spans cover. */
function covered(spans: readonly Span[]): string {
  const bytes = new Array(SIZE).fill("-");
  for (const { from, to } of spans) bytes.fill("#", from, to);
  return bytes.join("");
}

const spans = fc.array(fc.tuple(fc.nat(SIZE), fc.nat(SIZE)), { maxLength: 6 })
  .map((pairs) => pairs.map(([from, size]) => ({ from, to: Math.min(SIZE, from + size) })));

/** Whether spans are in ascending order, and neither empty nor overlapping. */
function inOrder(spans: readonly Span[]): boolean {
  return spans.every(({ from, to }, i) => from < to && (i === 0 || spans[i - 1]!.to <= from));
}

Deno.test("union() covers what any span covers, intersection() what both lists do", () => {
  fc.assert(fc.property(spans, spans, (some, others) => {
    const [one, other] = [union(some), union(others)];
    assertEquals(covered(one), covered(some));
    const both = intersection(one, other);
    const expected = [...covered(one)].map((byte, i) => byte === covered(other)[i] ? byte : "-");
    assertEquals(covered(both), expected.join(""));
    assertEquals([one, both].every(inOrder), true);
  }));
});

Deno.test("gapsOf() gives what no span covers, and sizeOf() how much that is", () => {
  fc.assert(fc.property(spans, (some) => {
    const gaps = gapsOf(some, SIZE);
    assertEquals(inOrder(gaps), true);
    const there = covered(some);
    assertEquals(
      [...covered(gaps)].map((byte) => byte === "-"),
      [...there].map((byte) => byte !== "-"),
    );
    assertEquals(sizeOf(gaps), [...there].filter((byte) => byte === "-").length);
  }));
});

Deno.test("clip() gives the part within another span", () => {
  const within = { from: 10, to: 20 };
  assertEquals(clip({ from: 5, to: 15 }, within), { from: 10, to: 15 });
  assertEquals(clip({ from: 12, to: 25 }, within), { from: 12, to: 20 });
  assertEquals(clip({ from: 1, to: 5 }, within), { from: 10, to: 10 });
  assertEquals(clip({ from: 30, to: 35 }, within), { from: 20, to: 20 });
});
