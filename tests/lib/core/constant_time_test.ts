import { assertEquals } from "@std/assert";
import { sameBytes } from "../../../lib/core/constant_time.ts";

Deno.test("sameBytes() is true of equal bytes alone, whatever their lengths", () => {
  const all = [[], [0], [1], [0, 0], [1, 2, 3], [1, 2, 4], [0, 2, 3], [1, 2]];
  for (const a of all) {
    for (const b of all) {
      assertEquals(sameBytes(Uint8Array.from(a), Uint8Array.from(b)), a === b, `${a} and ${b}`);
    }
  }
});
