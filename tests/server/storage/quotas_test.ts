import { assertEquals, assertRejects } from "@std/assert";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { Quota } from "../../../server/storage/quota.ts";
import { Quotas } from "../../../server/storage/quotas.ts";

Deno.test("a quota of a directory counts a write that has begun before the quota was made", async () => {
  let stored = 0;
  const quotas = new Quotas(new Quota({}), {
    count: () => Promise.resolve(stored),
    clock: SYSTEM_CLOCK,
  });
  const name = "inbox/a" as FileName;
  const reserve = async (size: number) => {
    await quotas.prepare(name, size);
    return quotas.reserve(name, size);
  };
  const before = await reserve(60);
  quotas.limit([{ whose: "ci", directories: ["inbox" as FileName], limit: 100 }]);
  // It fits, as far as is known by now.
  (await reserve(100)).settle(0);
  stored = 60;
  before.settle(60);
  await assertRejects(() => reserve(50), FerryError, "60 B are in use, and this takes 50 B");
  using _fits = await reserve(40);
  assertEquals(quotas.usage.map(({ used }) => used), [100]);
});
