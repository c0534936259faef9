import { assert, assertEquals } from "@std/assert";
import {
  bytesDone,
  isFinished,
  noTransfers,
  rateOf,
  reduceTransfers,
  type TransfersEvent,
  type TransfersState,
} from "../../../client/cli/progress_state.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 23 });

/** The state after events that happened one second after the other. */
function after(...events: TransfersEvent[]): TransfersState {
  return events.reduce(
    (state, event, at) => reduceTransfers(state, event, (at + 1) * 1000),
    noTransfers(0),
  );
}

/** Whether two numbers are the same but for what floating point leaves. */
function assertNear(actual: number, expected: number, tolerance: number): void {
  assert(Math.abs(actual - expected) <= tolerance * expected, `${actual} is not ${expected}`);
}

Deno.test("reduceTransfers() follows a file from its plan to its end", () => {
  let state = after({ type: "planned", files: 2, bytes: 300 });
  assertEquals([state.files, state.bytes], [
    { done: 0, total: 2 },
    { done: 0, total: 300 },
  ]);
  state = reduceTransfers(state, { type: "began", filename: "a", total: 100 }, 2000);
  state = reduceTransfers(state, { type: "moved", filename: "a", bytes: 40 }, 3000);
  assertEquals([state.running.length, state.bytes.done, bytesDone(state)], [1, 0, 40]);
  state = reduceTransfers(state, { type: "moved", filename: "a", bytes: 100 }, 4000);
  state = reduceTransfers(state, { type: "ended", filename: "a" }, 5000);
  assertEquals([state.running, bytesDone(state), state.moved], [[], 100, 100]);
  assertEquals(isFinished(state), false);
  state = reduceTransfers(state, { type: "skipped", files: 1, bytes: 200 }, 6000);
  assertEquals([state.files.done, bytesDone(state), state.moved], [2, 300, 100]);
  assertEquals([isFinished(state), state.now], [true, 6000]);
});

Deno.test("reduceTransfers() counts all bytes of a file that ended as done", () => {
  const state = after(
    { type: "planned", files: 1, bytes: 100 },
    { type: "began", filename: "a", total: 100 },
    { type: "moved", filename: "a", bytes: 30 },
    { type: "ended", filename: "a" },
  );
  assertEquals(state.files, { done: 1, total: 1 });
  assertEquals([bytesDone(state), state.moved, isFinished(state)], [100, 30, true]);
});

Deno.test("reduceTransfers() does not take for speed what an earlier attempt left", () => {
  const state = after(
    { type: "began", filename: "a", total: 100, bytes: 60 },
    { type: "moved", filename: "a", bytes: 70 },
  );
  assertEquals([bytesDone(state), state.moved], [70, 10]);
  assertNear(rateOf(state.running[0]!.meter, 2000), 10, 0.2);
});

Deno.test("reduceTransfers() lets a transfer begin anew", () => {
  const state = after(
    { type: "began", filename: "a", total: 100 },
    { type: "moved", filename: "a", bytes: 70 },
    { type: "moved", filename: "a", bytes: 0 },
    { type: "moved", filename: "a", bytes: 20 },
  );
  assertEquals([bytesDone(state), state.moved], [20, 90]);
});

Deno.test("reduceTransfers() ignores what does not run", () => {
  const before = after({ type: "began", filename: "a", total: null });
  const gone: TransfersEvent[] = [
    { type: "moved", filename: "b", bytes: 1 },
    { type: "ended", filename: "b" },
    { type: "tick" },
  ];
  for (const event of gone) {
    assertEquals(reduceTransfers(before, event, 9000), { ...before, now: 9000 });
  }
});

Deno.test("reduceTransfers() changes no state that it was given", () => {
  const freeze = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    Object.values(Object.freeze(value)).forEach(freeze);
  };
  let state = noTransfers(0);
  const events: TransfersEvent[] = [
    { type: "planned", files: 2, bytes: 20 },
    { type: "began", filename: "a", total: 10 },
    { type: "began", filename: "b", total: 10 },
    { type: "moved", filename: "b", bytes: 5 },
    { type: "ended", filename: "a" },
    { type: "skipped", files: 1, bytes: 1 },
    { type: "tick" },
  ];
  for (const event of events) {
    freeze(state);
    state = reduceTransfers(state, event, 1);
  }
  assertEquals(state.running.map(({ filename }) => filename), ["b"]);
});

Deno.test("isFinished() is not so while it is not known how many files there are", () => {
  assertEquals(isFinished(noTransfers(0)), false);
  assertEquals(isFinished(after({ type: "planned", files: null, bytes: null })), false);
  assertEquals(isFinished(after({ type: "planned", files: 0, bytes: 0 })), true);
});

/** A transfer that moves `perSecond` bytes in even steps for some seconds. */
function steady(perSecond: number, { seconds, stepMs }: { seconds: number; stepMs: number }) {
  let state = reduceTransfers(noTransfers(0), { type: "began", filename: "a", total: null }, 0);
  for (let now = stepMs; now <= seconds * 1000; now += stepMs) {
    const bytes = perSecond * now / 1000;
    state = reduceTransfers(state, { type: "moved", filename: "a", bytes }, now);
  }
  return state;
}

Deno.test("rateOf() is the speed of an even flow from its start, whatever the steps", () => {
  for (const stepMs of [1, 10, 50]) {
    for (const seconds of [1, 5, 60]) {
      const { meter, now } = steady(1e6, { seconds, stepMs });
      assertNear(rateOf(meter, now), 1e6, 0.03);
    }
  }
});

Deno.test("rateOf() follows a change within seconds, and a stall", () => {
  let state = steady(1e6, { seconds: 60, stepMs: 50 });
  for (let n = 1; n <= 200; n++) {
    const event = { type: "moved", filename: "a", bytes: 60e6 + n * 500_000 } as const;
    state = reduceTransfers(state, event, 60_000 + n * 50);
  }
  assertNear(rateOf(state.meter, 70_000), 10e6, 0.05);
  assertNear(rateOf(state.meter, 73_000), 10e6 / Math.E, 0.06);
  assert(rateOf(state.meter, 200_000) < 1);
});

Deno.test("rateOf() is nothing at the start", () => {
  const { meter } = noTransfers(5000);
  assertEquals([rateOf(meter, 5000), rateOf(meter, 6000)], [0, 0]);
});

Deno.test("rateOf() never is negative nor infinite", () => {
  const steps = fc.array(fc.tuple(fc.nat(1e6), fc.maxSafeNat()), { maxLength: 20 });
  fc.assert(fc.property(steps, fc.nat(1e7), (steps, later) => {
    let state = reduceTransfers(noTransfers(0), { type: "began", filename: "a", total: 1 }, 0);
    let now = 0;
    for (const [ms, bytes] of steps) {
      state = reduceTransfers(state, { type: "moved", filename: "a", bytes }, now += ms);
    }
    const rate = rateOf(state.meter, now + later);
    assert(rate >= 0 && Number.isFinite(rate), `${rate}`);
  }));
});
