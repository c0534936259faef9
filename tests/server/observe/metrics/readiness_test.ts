import { assertEquals } from "@std/assert";
import { MemoryStorage } from "../../../../mod.ts";
import { Readiness } from "../../../../server/observe/metrics/readiness.ts";
import type { Storage } from "../../../../server/storage/storage.ts";
import type { StorageUsage } from "../../../../server/storage/usage.ts";
import { MIB } from "../../../support/bytes.ts";
import { MovableClock } from "../../../support/movable_clock.ts";

const NOTHING = { count: 0, bytes: 0 };
const GIB = 1024 * MIB;

/** A storage that says what it is told to say. */
function storage(changed: Pick<Partial<Storage>, "assertServing" | "usage">): Storage {
  return Object.assign(new MemoryStorage(), changed);
}

Deno.test("Readiness asks the storage at most once a second, and shares the answer", async () => {
  let asked = 0;
  const clock = new MovableClock();
  const assertServing = () => Promise.resolve(void asked++);
  const readiness = new Readiness(storage({ assertServing }), clock);
  await Promise.all(Array.from({ length: 100 }, () => readiness.obstacle()));
  await readiness.obstacle();
  assertEquals(asked, 1);
  clock.advance(1001);
  await readiness.obstacle();
  assertEquals(asked, 2);
});

Deno.test("Readiness does not wait for a storage that does not answer", async () => {
  const clock = new MovableClock();
  const answer = Promise.withResolvers<void>();
  const readiness = new Readiness(storage({ assertServing: () => answer.promise }), clock);
  const [first, second] = [readiness.obstacle(), readiness.obstacle()];
  clock.advance(3000);
  const silent = "the storage has not answered for seconds";
  assertEquals([await first, await second], [silent, silent]);
  answer.resolve();
  assertEquals(await readiness.obstacle(), undefined);
});

Deno.test("Readiness says when a disk or a quota is full", async () => {
  const cases: [Partial<StorageUsage>, string | undefined][] = [
    [{ disk: { size: 100 * GIB, free: 64 * MIB } }, undefined],
    [{ disk: { size: 100 * GIB, free: 63 * MIB } }, "the file system is full: 63 MiB are left"],
    [{ disk: { size: 100 * MIB, free: 1 * MIB } }, undefined],
    [{ disk: { size: 100 * MIB, free: 0 } }, "the file system is full: 0 B are left"],
    [{ quota: { limit: GIB, used: GIB - 1 } }, undefined],
    [
      { quota: { limit: GIB, used: GIB } },
      "the quota of 1 GiB is reached: remove files, or raise --quota",
    ],
  ];
  for (const [said, expected] of cases) {
    const usage: StorageUsage = {
      ...{ disk: undefined, quota: undefined, partialUploads: NOTHING, stagedTrees: NOTHING },
      ...said,
    };
    const usages = () => Promise.resolve(usage);
    const readiness = new Readiness(storage({ usage: usages }), new MovableClock());
    assertEquals(await readiness.obstacle(), expected);
  }
});
