import { assertEquals } from "@std/assert";
import { Rate } from "../../../page/upload/rate.ts";

Deno.test("the rate is that of the last seconds", () => {
  const rate = new Rate();
  for (let at = 0; at <= 10_000; at += 200) rate.add(at, at * 2);
  assertEquals(rate.perSecond, 2000);
  for (let at = 10_200; at <= 20_000; at += 200) rate.add(at, 20_000 + (at - 10_000) * 7);
  assertEquals(rate.perSecond, 7000);
  assertEquals(rate.secondsFor(14_000), 2);
});

Deno.test("nobody can tell a rate at the start, nor how long what stands still will take", () => {
  const rate = new Rate();
  assertEquals(rate.perSecond, undefined);
  rate.add(0, 0);
  rate.add(300, 500);
  assertEquals(rate.perSecond, undefined);
  for (let at = 400; at < 20_000; at += 200) rate.add(at, 500);
  assertEquals(rate.perSecond, 0);
  assertEquals(rate.secondsFor(1), undefined);
});

Deno.test("what was undone begins anew", () => {
  const rate = new Rate();
  for (let at = 0; at <= 2000; at += 200) rate.add(at, at);
  for (let at = 2200; at <= 4200; at += 200) rate.add(at, (at - 2200) * 3);
  assertEquals(rate.perSecond, 3000);
});

Deno.test("many samples in a short time count as one", () => {
  const rate = new Rate();
  for (let at = 0; at <= 1000; at += 1) rate.add(at, at);
  assertEquals(rate.perSecond, 1000);
});
