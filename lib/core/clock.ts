/**
 * The time, as everything asks for it whose behaviour depends on it.
 *
 * @module
 */

/** Cancels a call that is to be made later. */
export type Timer = number | object;

/** Tells the time and calls back when some of it has passed. A test can turn one by hand. */
export interface Clock {
  /** The time of day, in milliseconds since 1970. It may be set back or forth. */
  now(): number;
  /** Milliseconds since some fixed moment. Never goes back. */
  monotonic(): number;
  /** Calls `callback` once after that many milliseconds, and returns what cancels the call. */
  setTimeout(callback: () => void, ms: number): Timer;
  /** Cancels a call that was not made yet. */
  clearTimeout(timer: Timer | undefined): void;
}

/** The clock of the system. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // The timers of the system cut fractions off.
  setTimeout: (callback, ms) => setTimeout(callback, Math.ceil(ms)),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout> | undefined),
};

/**
 * Waits.
 *
 * @throws the signal's reason once it is aborted
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
