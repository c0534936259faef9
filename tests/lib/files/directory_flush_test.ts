import { assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { type ChangedDirectory, DirectoryFlushes } from "../../../lib/files/directory_flush.ts";
import { assertCode } from "../../support/assertions.ts";

Deno.test("changes that come during a flush share the next one", async () => {
  const flushed: string[] = [];
  const going: PromiseWithResolvers<void>[] = [];
  const directory = (identity: string): ChangedDirectory => ({
    identity,
    async sync() {
      flushed.push(identity);
      going.push(Promise.withResolvers());
      await going.at(-1)!.promise;
    },
  });
  const flushes = new DirectoryFlushes();
  const first = flushes.sync([directory("a")]);
  const later = [flushes.sync([directory("a")]), flushes.sync([directory("b"), directory("a")])];
  assertEquals(flushed, ["a"]);
  going[0]!.resolve();
  await first;
  while (flushed.length < 3) await Promise.resolve();
  assertEquals(flushed, ["a", "a", "b"]);
  for (const { resolve } of going) resolve();
  await Promise.all(later);
  assertEquals(flushed.length, 3);
});

Deno.test("the failure of one directory is not that of the others", async () => {
  const flushes = new DirectoryFlushes();
  const good: ChangedDirectory = { identity: "good", sync: () => Promise.resolve() };
  const bad: ChangedDirectory = {
    identity: "bad",
    sync: () => Promise.reject(new FerryError("io", "it is broken")),
  };
  const first = flushes.sync([good]);
  const [second, third] = [flushes.sync([good]), flushes.sync([bad])];
  await assertCode("io", () => third);
  await Promise.all([first, second]);
  await flushes.sync([good]);
});

Deno.test("a flush that failed is not repeated, and has failed for all who share it", async () => {
  const flushes = new DirectoryFlushes();
  let flushed = 0;
  const good: ChangedDirectory = { identity: "good", sync: () => Promise.resolve() };
  const once: ChangedDirectory = {
    identity: "bad at first",
    async sync() {
      await Promise.resolve();
      if (++flushed === 1) throw new FerryError("io", "it is broken");
    },
  };
  await assertCode("io", () => flushes.sync([once]));
  assertEquals(flushed, 1);
  flushed = 0;
  const first = flushes.sync([good]);
  const shared = [flushes.sync([once]), flushes.sync([good, once]), flushes.sync([good])];
  const [alone, both, neither] = await Promise.allSettled(shared);
  await first;
  assertEquals([alone!.status, both!.status, neither!.status], [
    "rejected",
    "rejected",
    "fulfilled",
  ]);
  assertEquals(flushed, 1);
});
