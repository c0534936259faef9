import { assertEquals } from "@std/assert";
import { onInterrupt } from "../../../lib/cli/signals.ts";
import { type Platform, POSIX, WINDOWS } from "../../../lib/core/platform.ts";

/** What a program on some system is told, when signals come. */
function listening(platform: Platform) {
  const listeners = new Map<Deno.Signal, () => void>();
  const told: string[] = [];
  onInterrupt(
    (status) => told.push(`first ${status}`),
    (status) => told.push(`again ${status}`),
    { platform, listen: (signal, listener) => void listeners.set(signal, listener) },
  );
  return { told, listeners };
}

Deno.test("onInterrupt() listens to the signals that the platform has", () => {
  assertEquals([...listening(POSIX).listeners.keys()], ["SIGINT", "SIGTERM"]);
  assertEquals([...listening(WINDOWS).listeners.keys()], ["SIGINT", "SIGBREAK"]);
});

Deno.test("onInterrupt() tells the exit status that stands for the signal", () => {
  for (
    const [platform, signal, status] of [
      [POSIX, "SIGINT", 130],
      [POSIX, "SIGTERM", 143],
      [WINDOWS, "SIGINT", 130],
      [WINDOWS, "SIGBREAK", 149],
    ] as const
  ) {
    const { told, listeners } = listening(platform);
    listeners.get(signal)!();
    assertEquals(told, [`first ${status}`]);
  }
});

Deno.test("onInterrupt() takes a signal that comes twice at once for one, and a later one for another", () => {
  const { told, listeners } = listening(POSIX);
  const { now } = performance;
  try {
    for (const [at, signal] of [[1000, "SIGINT"], [1400, "SIGINT"], [1600, "SIGTERM"]] as const) {
      performance.now = () => at;
      listeners.get(signal)!();
    }
  } finally {
    performance.now = now;
  }
  assertEquals(told, ["first 130", "again 143"]);
});
