import { setImmediate } from "node:timers/promises";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { RateLimit } from "../../../client/net/rate_limit.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { KIB, MIB } from "../../support/bytes.ts";

/** A clock whose time passes only while everybody sleeps. */
class FakeClock implements Clock {
  /** How much later than asked for a sleeper wakes up. */
  readonly #late: () => number;
  readonly #sleepers: { at: number; wake: () => void }[] = [];
  #now = 5_000_000;
  /** How often somebody slept. */
  sleeps = 0;

  constructor(late: () => number = () => 0) {
    this.#late = late;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  setTimeout(wake: () => void, ms: number): object {
    this.sleeps++;
    const sleeper = { at: this.#now + ms + this.#late(), wake };
    this.#sleepers.push(sleeper);
    return sleeper;
  }

  clearTimeout(timer: object | undefined): void {
    const at = this.#sleepers.findIndex((sleeper) => sleeper === timer);
    if (at >= 0) this.#sleepers.splice(at, 1);
  }

  /** Lets time pass until a moment. */
  async runUntil(end: number): Promise<void> {
    for (;;) {
      // Everything runs that waits for nothing but its turn.
      await setImmediate();
      const next = this.#sleepers.sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.#sleepers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    this.#now = end;
  }
}

/** How many bytes several transfers get through in a time, in pieces of one size. */
async function moved(
  { rate, piece, seconds, transfers = 1, late }: {
    rate: number;
    piece: number;
    seconds: number;
    transfers?: number;
    late?: () => number;
  },
): Promise<number[]> {
  const clock = new FakeClock(late);
  const limit = new RateLimit(rate, { clock });
  const end = clock.now() + seconds * 1000;
  const counts = Array<number>(transfers).fill(0);
  const running = counts.map(async (_, at) => {
    for (;;) {
      await limit.take(piece);
      if (clock.now() > end) return;
      counts[at]! += piece;
    }
  });
  await clock.runUntil(end);
  const result = counts.slice();
  await clock.runUntil(end + 1e9);
  await Promise.all(running);
  return result;
}

Deno.test("RateLimit.take() holds the rate over ten seconds within five per cent", async () => {
  const table: [rate: number, piece: number][] = [
    [20 * KIB, KIB],
    [MIB, KIB],
    [MIB, 32 * KIB],
    [2 * MIB, MIB],
    [100 * MIB, 64 * KIB],
    [100 * MIB, MIB],
  ];
  for (const [rate, piece] of table) {
    const [bytes] = await moved({ rate, piece, seconds: 10 });
    const off = Math.abs(bytes! / (rate * 10) - 1);
    assert(off <= 0.05, `${bytes} at ${rate} in pieces of ${piece}: off by ${off}`);
  }
});

Deno.test("RateLimit.take() loses nothing to timers that ring late", async () => {
  let turn = 0;
  const late = () => [1, 4, 15, 60][turn++ % 4]!;
  for (const piece of [KIB, 16 * KIB, 256 * KIB]) {
    const [bytes] = await moved({ rate: 4 * MIB, piece, seconds: 10, late });
    const off = Math.abs(bytes! / (40 * MIB) - 1);
    assert(off <= 0.05, `${bytes} in pieces of ${piece}: off by ${off}`);
  }
});

Deno.test("RateLimit.take() gives several transfers the same share of one rate", async () => {
  const counts = await moved({ rate: MIB, piece: 16 * KIB, seconds: 10, transfers: 4 });
  const total = counts.reduce((sum, count) => sum + count);
  assert(Math.abs(total / (10 * MIB) - 1) <= 0.05, `${total}`);
  assert(Math.max(...counts) - Math.min(...counts) <= 16 * KIB, `${counts}`);
});

Deno.test("RateLimit.take() lets nobody pass who came later", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(1000, { clock });
  const order: string[] = [];
  const take = (name: string, count: number) => limit.take(count).then(() => order.push(name));
  const taking = [take("large", 1000), take("small", 1), take("none", 0)];
  const start = clock.now();
  await clock.runUntil(start + 999);
  assertEquals(order, []);
  await clock.runUntil(start + 1000);
  assertEquals(order, ["large"]);
  await clock.runUntil(start + 1001);
  assertEquals(order, ["large", "small", "none"]);
  await Promise.all(taking);
});

Deno.test("RateLimit.take() makes up for a pause of a tenth of a second, and no more", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(1000, { clock });
  await clock.runUntil(clock.now() + 60_000);
  await limit.take(100);
  assertEquals(clock.sleeps, 0);
  const taking = limit.take(100);
  assertEquals(clock.sleeps, 1);
  await clock.runUntil(clock.now() + 100);
  await taking;
});

Deno.test("RateLimit.take() ends with the signal's reason, and what was not taken is there", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(1000, { clock });
  const start = clock.now();
  const controller = new AbortController();
  const aborted = assertRejects(() => limit.take(5000, controller.signal), Error, "enough");
  await setImmediate();
  controller.abort(new Error("enough"));
  await aborted;
  let done = false;
  const taking = limit.take(1000).then(() => done = true);
  await clock.runUntil(start + 1000);
  assertEquals(done, true);
  await taking;
  // One that is over already does not get to wait.
  await assertRejects(() => limit.take(1000, controller.signal), Error, "enough");
  const next = limit.take(1000);
  await clock.runUntil(start + 2000);
  await next;
});

Deno.test("RateLimit.pieceBytes is a twentieth of a second", () => {
  const pieceOf = (rate: number) => new RateLimit(rate, { clock: new FakeClock() }).pieceBytes;
  assertEquals([1, 1000, 20 * KIB, MIB, 100e6].map(pieceOf), [1024, 1024, 1024, 52_428, 5e6]);
});

Deno.test("RateLimit takes no rate that would stop everything", () => {
  for (const rate of [0, -1, NaN, Infinity]) {
    assertEquals(assertThrows(() => new RateLimit(rate), FerryError).code, "usage");
  }
});

Deno.test("RateLimit.take() waits on the system's clock", async () => {
  const limit = new RateLimit(1e6);
  const start = performance.now();
  // Five milliseconds' worth, in the smallest steps: the timers are real ones here.
  for (let n = 0; n < 5; n++) await limit.take(1000);
  assert(performance.now() - start >= 5);
  const controller = new AbortController();
  const aborted = assertRejects(() => limit.take(1e9, controller.signal), Error, "enough");
  controller.abort(new Error("enough"));
  await aborted;
});
