import { assert, assertEquals } from "@std/assert";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { keepTouched, UploadLocks } from "../../../server/files/upload_locks.ts";
import { FastClock } from "../../support/clock.ts";

Deno.test("UploadLocks.take() gives a lock to one writer, and to the next when it is released", async () => {
  const locks = new UploadLocks();
  const first = (await locks.take("a"))!;
  assert(first && await locks.take("b"), "each partial upload has its own lock");
  assertEquals([locks.isHeld("a"), locks.isHeld("c")], [true, false]);
  first[Symbol.dispose]();
  assertEquals(locks.isHeld("a"), false);
  const second = await locks.take("a");
  assert(second);
  first[Symbol.dispose]();
  assertEquals(locks.isHeld("a"), true, "a lock that was released twice took another one along");
});

Deno.test("UploadLocks.take() leaves the lock to a holder that moves bytes", async () => {
  const locks = new UploadLocks();
  let told = false;
  const busy = (await locks.take("a", () => told = true))!;
  using clock = new FastClock();
  clock.onWait = () => busy.touch();
  assertEquals([await locks.take("a"), told], [undefined, false]);
});

Deno.test("UploadLocks.take() waits for the end of a silent holder that it has told", async () => {
  const locks = new UploadLocks();
  const told = Promise.withResolvers<void>();
  const silent = (await locks.take("a", told.resolve))!;
  using _clock = new FastClock();
  const taking = locks.take("a");
  await told.promise;
  assertEquals(locks.isHeld("a"), true);
  silent[Symbol.dispose]();
  assert(await taking);
});

Deno.test("UploadLocks.take() does not wait for ever for a holder that does not end", async () => {
  const locks = new UploadLocks();
  let told = 0;
  await locks.take("a", () => void told++);
  using _clock = new FastClock();
  assertEquals([await locks.take("a"), told], [undefined, 1]);
});

Deno.test("UploadLocks.take() gives the lock to one of those who wait for it", async () => {
  const locks = new UploadLocks();
  const first = (await locks.take("a"))!;
  const waiting = [locks.take("a"), locks.take("a"), locks.take("a")];
  first[Symbol.dispose]();
  const taken = await Promise.all(waiting);
  assertEquals(taken.filter((lock) => lock !== undefined).length, 1);
});

Deno.test("keepTouched() keeps a lock for a holder that works without bytes, until it has done", async () => {
  const locks = new UploadLocks();
  let told = 0;
  const busy = (await locks.take("a", () => {
    told++;
    busy[Symbol.dispose]();
  }))!;
  {
    using _busy = keepTouched(busy, SYSTEM_CLOCK);
    assertEquals([await locks.take("a"), told], [undefined, 0]);
  }
  assert(await locks.take("a"));
  assertEquals(told, 1);
});
