import { assertEquals } from "@std/assert";
import {
  among,
  besides,
  choose,
  chooseAll,
  extend,
  goTo,
  NOTHING,
  type Selection,
  toggle,
} from "../../../page/listing/selection.ts";

const NAMES = ["a", "b", "c", "d", "e"];

function chosen({ chosen }: Selection): string {
  return [...chosen].sort().join("");
}

Deno.test("entries are chosen alone, as well, or no longer", () => {
  const one = choose("b");
  assertEquals([chosen(one), one.at], ["b", "b"]);
  const two = toggle(one, "d");
  assertEquals([chosen(two), two.at], ["bd", "d"]);
  assertEquals(chosen(toggle(two, "b")), "d");
  assertEquals(chosen(goTo(two, "a")), "bd");
});

Deno.test("a range extends from its anchor in both directions", () => {
  const down = extend(choose("b"), NAMES, "d");
  assertEquals([chosen(down), down.at], ["bcd", "d"]);
  assertEquals(chosen(extend(down, NAMES, "a")), "ab");
  assertEquals(chosen(extend(NOTHING, NAMES, "c")), "c");
  // The anchor may have been deleted.
  assertEquals(chosen(extend(choose("gone"), NAMES, "b")), "ab");
});

Deno.test("all are chosen, and then none", () => {
  const all = chooseAll(choose("a"), NAMES);
  assertEquals([chosen(all), all.at], ["abcde", "a"]);
  assertEquals(chosen(chooseAll(all, NAMES)), "");
  assertEquals(chosen(chooseAll(NOTHING, [])), "");
});

Deno.test("what is gone, or not shown, is no longer chosen", () => {
  const some = among(toggle(choose("a"), "c"), new Set(["a", "b"]));
  assertEquals([chosen(some), some.at, some.anchor], ["a", undefined, undefined]);
});

Deno.test("after entries are removed the keyboard is at the next one that stays", () => {
  const at = (...removed: string[]) => besides(choose("b"), NAMES, new Set(removed)).at;
  assertEquals(at("b"), "c");
  assertEquals(at("b", "d"), "e");
  assertEquals(at("d", "e"), "c");
  assertEquals(at(...NAMES), undefined);
});
