/**
 * The interface by which all code that depends on the time gets it, so that tests can control the time.
 *
 * @module
 */

import { MAX_TIMEOUT_MS } from "./number_options.ts";

/** A handle to cancel a scheduled call. */
export type Timer = number | object;

/** A clock with timers. Tests use one that they advance by hand. */
export interface Clock {
  /** The time of day, in milliseconds since 1970. It may be set backward or forward. */
  now(): number;
  /** The monotonic time: milliseconds since some fixed moment. It never goes backward. */
  monotonic(): number;
  /**
   * Calls `callback` once after that many milliseconds, or after the longest time of a timer, about 24 days. Returns a
   * handle to cancel the call.
   */
  setTimeout(callback: () => void, ms: number): Timer;
  /** Cancels a scheduled call that was not made yet. */
  clearTimeout(timer: Timer | undefined): void;
}

/** The clock of the system. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // The runtime's timers truncate fractions of a millisecond, and those that are too long fire at once.
  setTimeout: (callback, ms) => setTimeout(callback, Math.min(Math.ceil(ms), MAX_TIMEOUT_MS)),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout> | undefined),
};

/**
 * Waits for `ms` milliseconds.
 *
 * @throws the signal's abort reason when it is aborted
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted) reject(signal.reason);
  else {
    const abort = () => {
      clock.clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  }
  return promise;
}
