import { assertEquals } from "@std/assert";
import { Places } from "../../../lib/core/places.ts";

Deno.test("Places.take() gives as many places as there are, and again those that were left", () => {
  const places = new Places(2);
  const taken = [places.take(), places.take()];
  assertEquals([taken.includes(undefined), places.take()], [false, undefined]);
  taken[0]![Symbol.dispose]();
  taken[0]![Symbol.dispose]();
  assertEquals([places.take() === undefined, places.take()], [false, undefined]);
  assertEquals(new Places(0).take(), undefined);
});
