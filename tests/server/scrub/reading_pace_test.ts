import { assertEquals, assertRejects } from "@std/assert";
import type { Clock } from "../../../lib/core/clock.ts";
import { ReadingPace } from "../../../server/scrub/reading_pace.ts";
import { MIB } from "../../support/bytes.ts";

/** A clock on which time passes by work and by rests alone. */
class Stopwatch implements Clock {
  at = 0;
  rests: number[] = [];
  now = () => this.at;
  monotonic = () => this.at;
  setTimeout = (callback: () => void, ms: number) => {
    this.rests.push(ms);
    this.at += ms;
    queueMicrotask(callback);
    return 0;
  };
  clearTimeout = () => {};
}

const { signal } = new AbortController();

Deno.test("ReadingPace takes a fifth of the time, and no more bytes a second than it may", async () => {
  const clock = new Stopwatch();
  const unlimited = new ReadingPace(clock, 0);
  unlimited.begin();
  clock.at += 100;
  await unlimited.rest(MIB, signal);
  assertEquals(clock.rests, [400]);
  const slow = new ReadingPace(clock, MIB);
  slow.begin();
  clock.at += 100;
  await slow.rest(MIB, signal);
  assertEquals(clock.rests, [400, 900]);
});

Deno.test("ReadingPace adds up short rests, and does not count the time between two works", async () => {
  const clock = new Stopwatch();
  const pace = new ReadingPace(clock, 0);
  for (let times = 0; times < 3; times++) {
    clock.at += 24 * 60 * 60 * 1000;
    pace.begin();
    clock.at += 1;
    await pace.rest(10, signal);
  }
  assertEquals(clock.rests, [12]);
});

Deno.test("ReadingPace rests for a minute at most after a read that hung, and not once it is aborted", async () => {
  const clock = new Stopwatch();
  const pace = new ReadingPace(clock, 0);
  pace.begin();
  clock.at += 60 * 60 * 1000;
  await pace.rest(10, signal);
  assertEquals(clock.rests, [60_000]);
  await assertRejects(() => pace.rest(10, AbortSignal.abort(new Error("ended"))), Error, "ended");
});
