import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { Quota } from "../../../server/storage/quota.ts";
import { MIB } from "../../support/bytes.ts";

function assertRefused(run: () => unknown, code: string, reason: string): void {
  const error = assertThrows(run, FerryError);
  assertEquals([error.code as string, error.reason], [code, reason]);
}

Deno.test("Quota.reserve() takes what is announced, and no more than there is", () => {
  const quota = new Quota({ quota: 10 * MIB });
  quota.count(4 * MIB);
  const first = quota.reserve(5 * MIB);
  assertRefused(() => quota.reserve(2 * MIB), "quota", "disk quota of 10 MiB reached");
  assertEquals(quota.used, 9 * MIB, "what was refused took something");
  first.settle(0);
  quota.reserve(6 * MIB);
  assertEquals(quota.used, 10 * MIB);
  quota.reserve(0);
});

Deno.test("Quota.reserve() lets a stream take what it needs as it grows", () => {
  const quota = new Quota({ quota: 1000 });
  const [a, b] = [quota.reserve(null), quota.reserve(null)];
  a.grow(600);
  a.grow(300);
  b.grow(400);
  assertRefused(() => b.grow(401), "quota", "disk quota of 1,000 B reached");
  a.settle(0);
  b.grow(1000);
  assertEquals(quota.used, 1000);
});

Deno.test("Quota.reserve() counts a part that is there once", () => {
  const quota = new Quota({ quota: 1000 });
  quota.count(700);
  const rest = quota.reserve(1000, 700);
  assertEquals(quota.used, 1000);
  rest.settle(900);
  assertEquals(quota.used, 900);
});

Deno.test("Reservation.settle() counts what is kept, once", () => {
  const quota = new Quota({ quota: 1000 });
  const one = quota.reserve(500);
  one.settle(200);
  one.settle(0);
  assertEquals(quota.used, 200);
  quota.count(-500);
  assertEquals(quota.used, 0, "less than nothing is in use");
});

Deno.test("Quota.reserve() refuses files that are too large, announced or not", () => {
  const quota = new Quota({ maxFileSize: 2 * MIB });
  assertEquals(quota.isLimited, false);
  const reason = "files of more than 2 MiB are not taken";
  assertRefused(() => quota.reserve(2 * MIB + 1), "too_large", reason);
  const stream = quota.reserve(null);
  stream.grow(2 * MIB);
  assertRefused(() => stream.grow(2 * MIB + 1), "too_large", reason);
});
