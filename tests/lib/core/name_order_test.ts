import { assertEquals } from "@std/assert";
import { compareInTree, compareNames, sortNames } from "../../../lib/core/name_order.ts";
import { utf8 } from "../../support/bytes.ts";
import fc from "../../support/properties.ts";
import { compareByParts } from "../../support/stored_files.ts";

/** The order of bytes, as it is meant. */
function byBytes(a: string, b: string): number {
  const [x, y] = [utf8.encode(a), utf8.encode(b)];
  for (let at = 0; at < Math.min(x.length, y.length); at++) {
    if (x[at] !== y[at]) return x[at]! - y[at]!;
  }
  return x.length - y.length;
}

const names = fc.array(
  fc.string({
    unit: fc.constantFrom("a", "b", "\x7f", "é", "\ud7ff", "\ue000", "\uffff", "😀", "\u{10ffff}"),
    maxLength: 4,
  }),
);

Deno.test("compareNames() and sortNames() order by UTF-8 bytes", () => {
  fc.assert(fc.property(names, (names) => {
    assertEquals(sortNames([...names]), [...names].sort(byBytes));
    for (const a of names) {
      for (const b of names) {
        assertEquals(Math.sign(compareNames(a, b)), Math.sign(byBytes(a, b)), `${a} ${b}`);
      }
    }
  }));
});

Deno.test("sortNames() puts what is above U+FFFF last", () => {
  assertEquals(sortNames(["😀", "\uff5e", "中", "a"]), ["a", "中", "\uff5e", "😀"]);
});

/** Paths whose parts have characters on both sides of the slash. */
const paths = fc.array(
  fc.string({ unit: fc.constantFrom("a", "-", ".", "0", "é", "😀"), minLength: 1, maxLength: 3 }),
  { minLength: 1, maxLength: 4 },
).map((parts) => parts.join("/"));

Deno.test("compareInTree() is the order of components", () => {
  fc.assert(fc.property(paths, paths, (a, b) => {
    assertEquals(Math.sign(compareInTree(a, b)), Math.sign(compareByParts(a, b)));
  }));
});
