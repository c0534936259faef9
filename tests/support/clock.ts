/**
 * Clocks for tests. The storage compares the current time with the times of files, to decide whether an unchanged time
 * proves that a file has not changed.
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

/** Stops the clock of `performance.now()`, until it is disposed of. */
export function stopStopwatch(): Disposable {
  const { now } = performance;
  const at = performance.now();
  performance.now = () => at;
  return { [Symbol.dispose]: () => void (performance.now = now) };
}

/** A time that is long after everything that was done so far. */
export function later(): number {
  return Date.now() + 10_000;
}

/** A clock that a test moves forward, as does code that waits on it. */
export class Clock implements Disposable {
  readonly #real = { now: Date.now, wait: Atomics.wait };
  /** How many milliseconds the clock is ahead of the real time. */
  ahead = 0;
  /** Called whenever code waits on the clock. */
  onPause: () => void = () => {};

  constructor() {
    Date.now = () => this.#real.now() + this.ahead;
    Atomics.wait = ((_array: Int32Array, _at: number, _value: number, ms: number) => {
      this.ahead += ms;
      this.onPause();
      return "timed-out";
    }) as typeof Atomics.wait;
  }

  [Symbol.dispose](): void {
    Date.now = this.#real.now;
    Atomics.wait = this.#real.wait;
  }
}

/** A clock on which timers fire at once, and time passes with them. */
export class FastClock implements Disposable {
  readonly #real = { now: Date.now, setTimeout: globalThis.setTimeout };
  #ahead = 0;
  /** Called when a timer fires, before its callback. */
  onWait: () => void = () => {};

  constructor() {
    const { now, setTimeout } = this.#real;
    Date.now = () => now() + this.#ahead;
    globalThis.setTimeout = ((run: () => void, ms = 0) =>
      setTimeout(() => {
        this.#ahead += ms;
        this.onWait();
        run();
      }, 0)) as typeof globalThis.setTimeout;
  }

  [Symbol.dispose](): void {
    Date.now = this.#real.now;
    globalThis.setTimeout = this.#real.setTimeout;
  }
}
