/**
 * A limited number of places, for those who can do without one.
 *
 * @module
 */

/** Places that are taken and left. */
export class Places {
  #left: number;

  /** Creates that many places, all of them free. */
  constructor(count: number) {
    this.#left = count;
  }

  /** Takes a place, which is free again when it is disposed of. Returns undefined if none is free. */
  take(): Disposable | undefined {
    if (this.#left <= 0) return undefined;
    this.#left--;
    let taken = true;
    return {
      [Symbol.dispose]: () => {
        if (taken) this.#left++;
        taken = false;
      },
    };
  }
}
