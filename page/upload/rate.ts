/**
 * How fast something goes, and how long it will still take.
 *
 * @module
 */

/** The rate is that of the last so many milliseconds. */
const WINDOW_MS = 6000;

/** There is no rate before so many milliseconds have passed. */
const LEAST_MS = 500;

/** Measures a rate. */
export class Rate {
  readonly #samples: { readonly at: number; readonly done: number }[] = [];

  /** Takes down how much is done at a time in milliseconds; less than before means that something was undone. */
  add(at: number, done: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && done < last.done) this.#samples.length = 0;
    // One sample before the window stays, from which on the window is covered.
    while (this.#samples.length > 1 && this.#samples[1]!.at <= at - WINDOW_MS) {
      this.#samples.shift();
    }
    if (last !== undefined && at - last.at < 100 && this.#samples.length > 1) this.#samples.pop();
    this.#samples.push({ at, done });
  }

  /** Forgets what was measured, after a pause. */
  reset(): void {
    this.#samples.length = 0;
  }

  /** How much is done in a second; undefined if that is not known yet. */
  get perSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at - first.at < LEAST_MS) {
      return undefined;
    }
    return (last.done - first.done) / (last.at - first.at) * 1000;
  }

  /** How many seconds the rest will take; undefined if nobody can tell. */
  secondsFor(rest: number): number | undefined {
    const rate = this.perSecond;
    return rate === undefined || rate <= 0 ? undefined : rest / rate;
  }
}
