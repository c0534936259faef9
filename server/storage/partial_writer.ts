/**
 * Who writes a part: one at a time, and a silent one gives way to another.
 *
 * @module
 */

/** A writer that has moved no byte for so long may be taken over from, in milliseconds. */
const STALLED_MS = 2000;

/** How often a writer is looked at while another one waits for its part, in milliseconds. */
const LOOK_MS = 100;

/** How long a writer that was told to end may take for that, in milliseconds. */
const RELEASE_MS = 5000;

/** Who has a part, until it is disposed of. */
export class PartWriter implements Disposable {
  readonly #takeOver: () => void;
  readonly #released = Promise.withResolvers<void>();
  #touched = Date.now();
  #active = true;

  /**
   * Somebody who has just got the part.
   *
   * @param takeOver tells that another one wants it
   */
  constructor(takeOver: () => void = () => {}) {
    this.#takeOver = takeOver;
  }

  /** Whether it still has the part. */
  get active(): boolean {
    return this.#active;
  }

  /** Tells that it moves bytes. */
  touch(): void {
    this.#touched = Date.now();
  }

  /** Whether it ends, by itself or because it has moved no byte for a while and is told to. */
  async givesUp(): Promise<boolean> {
    const touched = this.#touched;
    while (this.#active && Date.now() - touched < STALLED_MS) {
      await this.#releasedWithin(LOOK_MS);
      if (this.#touched !== touched) break;
    }
    if (!this.#active) return true;
    if (this.#touched !== touched) return false;
    this.#takeOver();
    // A disk that does not answer may hold it up for as long as it likes.
    await this.#releasedWithin(RELEASE_MS);
    return !this.#active;
  }

  /** Waits until it ends, but for no longer than `ms` milliseconds. */
  async #releasedWithin(ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ms);
    await Promise.race([this.#released.promise, late.promise]);
    clearTimeout(timer);
  }

  /** Ends it: the part is free. */
  [Symbol.dispose](): void {
    this.#active = false;
    this.#released.resolve();
  }
}
