import { assertEquals } from "@std/assert";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";

const DAY_MS = 86_400_000;

Deno.test("the clock of the system does not call at once what is to be called in months", async () => {
  const called: string[] = [];
  const timers = [60 * DAY_MS, 1e300, Infinity].map((ms) =>
    SYSTEM_CLOCK.setTimeout(() => called.push(`${ms}`), ms)
  );
  // Timers that are too long for the runtime would be called before it.
  await new Promise<void>((resolve) => SYSTEM_CLOCK.setTimeout(resolve, 20));
  for (const timer of timers) SYSTEM_CLOCK.clearTimeout(timer);
  assertEquals(called, []);
});
