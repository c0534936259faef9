import { assert, assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { LoginThrottle } from "../../../server/auth/login_throttle.ts";

/** A throttle whose clock is turned by hand, and which notes for how long it would have waited. */
class Fixture {
  time = 0;
  readonly waits: number[] = [];
  readonly throttle = new LoginThrottle({
    now: () => this.time,
    wait: (ms) => Promise.resolve(void this.waits.push(ms)),
  });

  /** How long a try would have to wait. */
  async wait(source: string): Promise<number> {
    this.waits.length = 0;
    await this.throttle.admit(source, new AbortController().signal);
    return this.waits[0] ?? 0;
  }

  fail(source: string, times = 1): void {
    for (let n = 0; n < times; n++) this.throttle.countFailure(source);
  }
}

Deno.test("LoginThrottle.admit() lets who has not failed try at once, as often as wanted", async () => {
  const f = new Fixture();
  for (let n = 0; n < 100; n++) assertEquals(await f.wait("a"), 0);
  f.fail("b", 5);
  assertEquals(await f.wait("a"), 0);
});

Deno.test("LoginThrottle.admit() makes each failure dearer than the one before, up to a limit", async () => {
  const f = new Fixture();
  const waits: number[] = [];
  for (let n = 0; n < 9; n++) {
    f.fail("a");
    waits.push(await f.wait("a"));
    // It has waited, and tries again.
    f.time += 1e5;
  }
  assertEquals(waits, [250, 500, 1000, 2000, 4000, 4000, 4000, 4000, 4000]);
});

Deno.test("LoginThrottle.admit() makes the tries of one source wait in line, whatever they come over", async () => {
  const f = new Fixture();
  f.fail("a", 3);
  assertEquals([await f.wait("a"), await f.wait("a"), await f.wait("a")], [1000, 2000, 3000]);
  assertEquals(await f.wait("b"), 0);
});

Deno.test("LoginThrottle.admit() turns away who would have to wait too long", async () => {
  const f = new Fixture();
  f.fail("a", 3);
  const waits = [];
  for (let n = 0; n < 5; n++) waits.push(await f.wait("a"));
  assertEquals(waits, [1000, 2000, 3000, 4000, 5000]);
  const error = await assertRejects(() => f.wait("a"), FerryError);
  assertEquals(error.code, "busy");
  // It costs nobody else anything, and passes.
  assertEquals(await f.wait("b"), 0);
  f.time += 40_000;
  assertEquals(await f.wait("a"), 0);
});

Deno.test("LoginThrottle forgets who has not failed for ten minutes", async () => {
  const f = new Fixture();
  f.fail("a", 20);
  f.time += 10 * 60 * 1000 + 1;
  assertEquals(await f.wait("a"), 0);
  f.fail("a");
  assertEquals(await f.wait("a"), 250);
});

Deno.test("LoginThrottle remembers no more than so many sources, and drops who failed longest ago", async () => {
  const f = new Fixture();
  f.fail("first", 3);
  for (let n = 0; n < 100_000; n++) {
    f.fail(`other ${n}`);
    if (n % 1000 === 0) f.fail("again");
  }
  assert(f.throttle.size <= 4096, String(f.throttle.size));
  assertEquals(await f.wait("first"), 0);
  assert(await f.wait("again") > 0);
});

Deno.test("LoginThrottle.admit() stops waiting when the connection ends", async () => {
  const throttle = new LoginThrottle();
  for (let n = 0; n < 20; n++) throttle.countFailure("a");
  const stop = new AbortController();
  const waiting = throttle.admit("a", stop.signal);
  stop.abort(new FerryError("closed", "gone"));
  const error = await assertRejects(() => waiting, FerryError);
  assertEquals(error.code, "closed");
});

Deno.test("LoginThrottle.admit() gives a place in line back to the others of its source when a connection ends", async () => {
  const throttle = new LoginThrottle({
    now: () => 0,
    wait: () => Promise.reject(new FerryError("closed", "gone")),
  });
  for (let n = 0; n < 20; n++) throttle.countFailure("a");
  // Whoever has left makes nobody wait: the line would be too long for the fourth.
  for (let n = 0; n < 10; n++) {
    const error = await assertRejects(
      () => throttle.admit("a", new AbortController().signal),
      FerryError,
    );
    assertEquals(error.code, "closed", `${n}`);
  }
});
