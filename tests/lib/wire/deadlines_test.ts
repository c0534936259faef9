import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import type { FerryError } from "../../../lib/core/errors.ts";
import { type DeadlineOptions, Deadlines } from "../../../lib/wire/deadlines.ts";
import { ManualClock } from "../../support/memory_stream.ts";

const PACED = { paced: true };

/** Deadlines, and the reasons for which they gave the peer up. */
function recorded(options: DeadlineOptions) {
  const reasons: FerryError[] = [];
  return { reasons, deadlines: new Deadlines(options, (reason) => void reasons.push(reason)) };
}

/** A peer that moves so many bytes each time it was waited for so long, until it is given up. */
async function drip(
  { deadlines, reasons }: ReturnType<typeof recorded>,
  { bytes, times, paced = true }: { bytes: number; times: number; paced?: boolean },
): Promise<number> {
  let drops = 0;
  while (drops < times && reasons.length === 0) {
    await deadlines.run("read", () => delay(5).then(() => bytes), { paced });
    drops++;
  }
  return drops;
}

Deno.test("Deadlines gives up what moves nothing for the idle time, in each direction", async () => {
  const { deadlines, reasons } = recorded({ idleTimeout: 20 });
  for (const direction of ["read", "write"] as const) {
    const gone = Promise.withResolvers<number>();
    const expired = new Deadlines({ idleTimeout: 20 }, (reason) => gone.reject(reason));
    const error = await expired.run(direction, () => gone.promise, PACED).catch((e) => e);
    const silence = direction === "read" ? "sent nothing" : "took nothing";
    assertEquals([error.code, error.message], ["timeout", `the peer ${silence} for 0.02 s`]);
  }
  assertEquals(await deadlines.run("read", () => Promise.resolve(3), PACED), 3);
  assertEquals(reasons, []);
});

Deno.test("Deadlines gives up who moves too little over the idle time", async () => {
  const slow = recorded({ idleTimeout: 50, minRate: 1_000_000 });
  const drops = await drip(slow, { bytes: 1, times: 1000 });
  assert(drops > 1 && drops < 1000, `${drops} drops`);
  const [reason] = slow.reasons;
  assertEquals(reason?.code, "timeout");
  assertStringIncludes(reason!.message, "less than 1000000 a second");
});

Deno.test("Deadlines hurries nobody who moves enough, or whom nothing is expected of", async () => {
  const enough = recorded({ idleTimeout: 300, minRate: 1 });
  assertEquals(await drip(enough, { bytes: 1000, times: 100 }), 100);
  const unpaced = recorded({ idleTimeout: 300, minRate: 1_000_000 });
  assertEquals(await drip(unpaced, { bytes: 1, times: 100, paced: false }), 100);
  const any = recorded({ idleTimeout: 300 });
  assertEquals(await drip(any, { bytes: 1, times: 100 }), 100);
});

Deno.test("Deadlines does not count the time for which reads are held", async () => {
  const held = recorded({ idleTimeout: 20, minRate: 1_000_000 });
  {
    using _hold = held.deadlines.hold();
    assertEquals(await drip(held, { bytes: 1, times: 20 }), 20);
    await held.deadlines.run("read", () => delay(60).then(() => 1), PACED);
  }
  assertEquals(held.reasons, []);
});

Deno.test("Deadlines.patience is for silence beyond the idle time, and not for longer than it lasts", async () => {
  for (const direction of ["read", "write"] as const) {
    using clock = new ManualClock();
    const { deadlines, reasons } = recorded({ idleTimeout: 1000 });
    deadlines.patience = 10_000;
    const moved = Promise.withResolvers<number>();
    const watching = deadlines.run(direction, () => moved.promise, PACED);
    clock.advance(10_999);
    assertEquals(reasons, [], direction);
    deadlines.patience = 0;
    clock.advance(1);
    assertEquals(reasons.map(({ code }) => code), ["timeout"], direction);
    moved.resolve(1);
    await watching;
  }
});

Deno.test("Deadlines.patience is for any speed", async () => {
  const patient = recorded({ idleTimeout: 20, minRate: 1000 });
  patient.deadlines.patience = 1;
  assertEquals(await drip(patient, { bytes: 1, times: 20 }), 20);
  patient.deadlines.patience = 0;
  assert(await drip(patient, { bytes: 1, times: 100 }) < 100);
});

Deno.test("Deadlines takes nobody for silent who was not listened to", async () => {
  const { deadlines, reasons } = recorded({ idleTimeout: 20 });
  const moved = Promise.withResolvers<number>();
  const watching = deadlines.run("read", () => moved.promise, PACED);
  // What came meanwhile is read behind the timer that is due.
  for (const start = performance.now(); performance.now() - start < 200;);
  setTimeout(() => moved.resolve(1), 0);
  await watching;
  assertEquals(reasons, []);
});

Deno.test("Deadlines.lives() gives a write the whole idle time again, and pardons no slow one", async () => {
  using clock = new ManualClock();
  const { deadlines, reasons } = recorded({ idleTimeout: 1000 });
  const moved = Promise.withResolvers<number>();
  const watching = deadlines.run("write", () => moved.promise, PACED);
  for (let turn = 0; turn < 10; turn++) {
    clock.advance(900);
    deadlines.lives();
  }
  assertEquals(reasons, []);
  clock.advance(2000);
  assertEquals(reasons.map(({ message }) => message), ["the peer took nothing for 1 s"]);
  moved.resolve(1);
  await watching;
});
