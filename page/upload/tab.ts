/// <reference lib="dom" />
/**
 * What tells a tab of the browser from others.
 *
 * @module
 */

const KEY = "ferry-tab";

/**
 * A tab. It stays the same when its page is reloaded. A tab that is opened from it, or is its duplicate, is another one,
 * although it begins with a copy of what the first has stored: nothing is stored as long as a page is open.
 */
export class Tab {
  /** What tells it from others. */
  readonly id: string;
  readonly #storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;

  /** @param storage what is kept for this tab; undefined where that is switched off */
  constructor(storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined) {
    this.#storage = storage;
    this.id = storage?.getItem(KEY) ?? crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.stay();
  }

  /** The page is closed, or reloaded. */
  leave(): void {
    try {
      this.#storage?.setItem(KEY, this.id);
    } catch {
      // Then a reloaded page waits a moment before it takes its own uploads for unfinished.
    }
  }

  /** The page is open, again perhaps. */
  stay(): void {
    this.#storage?.removeItem(KEY);
  }
}
