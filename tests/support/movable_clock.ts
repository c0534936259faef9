/**
 * A clock of a runtime that a test moves forward.
 *
 * @module
 */

import { type Clock, SYSTEM_CLOCK, type Timer } from "../../lib/core/clock.ts";

/** A call that is to be made. */
interface Pending {
  readonly at: number;
  readonly timer: Timer;
  readonly call: () => void;
}

/** The system's clock, moved forward by what a test says. Timers that are due then fire at once. */
export class MovableClock implements Clock {
  #ahead = 0;
  readonly #pending = new Set<Pending>();

  now(): number {
    return SYSTEM_CLOCK.now() + this.#ahead;
  }

  monotonic(): number {
    return SYSTEM_CLOCK.monotonic() + this.#ahead;
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const call = () => {
      this.#pending.delete(pending);
      callback();
    };
    const timer = SYSTEM_CLOCK.setTimeout(call, ms);
    const pending = { at: this.monotonic() + ms, timer, call };
    this.#pending.add(pending);
    return timer;
  }

  clearTimeout(timer: Timer | undefined): void {
    SYSTEM_CLOCK.clearTimeout(timer);
    for (const pending of this.#pending) {
      if (pending.timer === timer) this.#pending.delete(pending);
    }
  }

  /** Moves it forward by that many milliseconds. */
  advance(ms: number): void {
    this.#ahead += ms;
    const due = [...this.#pending].filter(({ at }) => at <= this.monotonic());
    for (const { timer, call } of due.sort((a, b) => a.at - b.at)) {
      SYSTEM_CLOCK.clearTimeout(timer);
      call();
    }
  }
}
