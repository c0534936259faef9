import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import type { FerryError } from "../../../lib/core/errors.ts";
import { Watchdog, type WatchdogOptions } from "../../../lib/wire/deadlines.ts";
import { ManualClock } from "../../support/memory_stream.ts";

const PACED = { paced: true };

/** A watchdog and the reasons for which it gave up. */
function watchdog(options: WatchdogOptions) {
  const reasons: FerryError[] = [];
  return { reasons, dog: new Watchdog(options, (reason) => void reasons.push(reason)) };
}

/** A peer that moves so many bytes each time it was waited for so long, until it is given up. */
async function drip(
  { dog, reasons }: ReturnType<typeof watchdog>,
  { bytes, times, paced = true }: { bytes: number; times: number; paced?: boolean },
): Promise<number> {
  let drops = 0;
  while (drops < times && reasons.length === 0) {
    await dog.watch("read", () => delay(5).then(() => bytes), { paced });
    drops++;
  }
  return drops;
}

Deno.test("Watchdog gives up what moves nothing for the idle time, in each direction", async () => {
  const { dog, reasons } = watchdog({ idleTimeout: 20 });
  for (const direction of ["read", "write"] as const) {
    const gone = Promise.withResolvers<number>();
    const expired = new Watchdog({ idleTimeout: 20 }, (reason) => gone.reject(reason));
    const error = await expired.watch(direction, () => gone.promise, PACED).catch((e) => e);
    const silence = direction === "read" ? "sent nothing" : "took nothing";
    assertEquals([error.code, error.message], ["timeout", `the peer ${silence} for 0.02 s`]);
  }
  assertEquals(await dog.watch("read", () => Promise.resolve(3), PACED), 3);
  assertEquals(reasons, []);
});

Deno.test("Watchdog gives up who moves too little over the idle time", async () => {
  const slow = watchdog({ idleTimeout: 50, minRate: 1_000_000 });
  const drops = await drip(slow, { bytes: 1, times: 1000 });
  assert(drops > 1 && drops < 1000, `${drops} drops`);
  const [reason] = slow.reasons;
  assertEquals(reason?.code, "timeout");
  assertStringIncludes(reason!.message, "less than 1000000 a second");
});

Deno.test("Watchdog hurries nobody who moves enough, or whom nothing is expected of", async () => {
  const enough = watchdog({ idleTimeout: 300, minRate: 1 });
  assertEquals(await drip(enough, { bytes: 1000, times: 100 }), 100);
  const unpaced = watchdog({ idleTimeout: 300, minRate: 1_000_000 });
  assertEquals(await drip(unpaced, { bytes: 1, times: 100, paced: false }), 100);
  const any = watchdog({ idleTimeout: 300 });
  assertEquals(await drip(any, { bytes: 1, times: 100 }), 100);
});

Deno.test("Watchdog does not count the time for which reads are held", async () => {
  const held = watchdog({ idleTimeout: 20, minRate: 1_000_000 });
  {
    using _hold = held.dog.hold();
    assertEquals(await drip(held, { bytes: 1, times: 20 }), 20);
    await held.dog.watch("read", () => delay(60).then(() => 1), PACED);
  }
  assertEquals(held.reasons, []);
});

Deno.test("Watchdog.patience is for silence beyond the idle time, and not for longer than it lasts", async () => {
  for (const direction of ["read", "write"] as const) {
    using clock = new ManualClock();
    const { dog, reasons } = watchdog({ idleTimeout: 1000 });
    dog.patience = 10_000;
    const moved = Promise.withResolvers<number>();
    const watching = dog.watch(direction, () => moved.promise, PACED);
    clock.advance(10_999);
    assertEquals(reasons, [], direction);
    dog.patience = 0;
    clock.advance(1);
    assertEquals(reasons.map(({ code }) => code), ["timeout"], direction);
    moved.resolve(1);
    await watching;
  }
});

Deno.test("Watchdog.patience is for any speed", async () => {
  const patient = watchdog({ idleTimeout: 20, minRate: 1000 });
  patient.dog.patience = 1;
  assertEquals(await drip(patient, { bytes: 1, times: 20 }), 20);
  patient.dog.patience = 0;
  assert(await drip(patient, { bytes: 1, times: 100 }) < 100);
});

Deno.test("Watchdog takes nobody for silent who was not listened to", async () => {
  const { dog, reasons } = watchdog({ idleTimeout: 20 });
  const moved = Promise.withResolvers<number>();
  const watching = dog.watch("read", () => moved.promise, PACED);
  // What came meanwhile is read behind the timer that is due.
  for (const start = performance.now(); performance.now() - start < 200;);
  setTimeout(() => moved.resolve(1), 0);
  await watching;
  assertEquals(reasons, []);
});

Deno.test("Watchdog.lives() gives a write the whole idle time again, and pardons no slow one", async () => {
  using clock = new ManualClock();
  const { dog, reasons } = watchdog({ idleTimeout: 1000 });
  const moved = Promise.withResolvers<number>();
  const watching = dog.watch("write", () => moved.promise, PACED);
  for (let turn = 0; turn < 10; turn++) {
    clock.advance(900);
    dog.lives();
  }
  assertEquals(reasons, []);
  clock.advance(2000);
  assertEquals(reasons.map(({ message }) => message), ["the peer took nothing for 1 s"]);
  moved.resolve(1);
  await watching;
});
