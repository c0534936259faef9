/**
 * A clock for tests of what waits without letting anything else run.
 *
 * @module
 */

/** A clock that is turned by hand, or by whoever waits. */
export class Clock implements Disposable {
  readonly #real = { now: Date.now, wait: Atomics.wait };
  /** How many milliseconds it is ahead. */
  ahead = 0;
  /** Called for each pause. */
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
