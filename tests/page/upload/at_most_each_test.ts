import { assertEquals } from "@std/assert";
import { atMostEach } from "../../../page/upload/at_most_each.ts";
import { stopClock } from "../../support/clock.ts";

Deno.test("what takes long is done less often, and after the last call", async () => {
  using clock = stopClock(0);
  const { setTimeout } = globalThis;
  const timers: { run: () => Promise<void>; delay: number }[] = [];
  globalThis.setTimeout =
    ((run: () => Promise<void>, delay: number) =>
      timers.push({ run, delay })) as unknown as typeof setTimeout;
  try {
    let done = 0;
    const soon = atMostEach(1000, () => {
      done++;
      clock.at += 400;
    });
    soon();
    soon();
    await timers[0]!.run();
    soon();
    await timers[1]!.run();
    assertEquals(timers.map(({ delay }) => delay), [1000, 4000]);
    assertEquals(done, 2);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});
