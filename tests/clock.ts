/**
 * The clock of this process for tests: what it says beside the times of files decides how much those tell.
 *
 * @module
 */

/** Stops the clock at a time in milliseconds since 1970, until it is disposed of. */
export function stopClock(at: number): Disposable & { at: number } {
  const { now } = Date;
  const clock = { at, [Symbol.dispose]: () => void (Date.now = now) };
  Date.now = () => clock.at;
  return clock;
}

/** A time at which all that was done up to now is long over. */
export function later(): number {
  return Date.now() + 10_000;
}
