/**
 * Locks on partial uploads: each has one writer at a time, and a writer that has fallen silent gives way to another.
 *
 * @module
 */

/** A holder that has moved no byte for this long gives way, in milliseconds. */
const STALLED_MS = 2000;

/** How often a holder is looked at while another client waits for its lock, in milliseconds. */
const POLL_MS = 100;

/** How long a holder that was told to end may take to release its lock, in milliseconds. */
const RELEASE_MS = 5000;

/** The right to write to a partial upload, until it is disposed of. */
export interface UploadLock extends Disposable {
  /** Tells that bytes have moved: the holder is not silent. */
  touch(): void;
}

/** The locks of one server. */
export class UploadLocks {
  readonly #holders = new Map<string, Holder>();

  /**
   * Takes the lock of a partial upload. Where it is held, this waits until the holder releases it or has moved no byte
   * for 2 s; a silent holder is told through its `onTakenOver` then and has 5 s to release it.
   *
   * @param id names the partial upload
   * @param onTakenOver called when another writer takes over; the lock must be released soon then
   * @returns undefined where the holder stays, or another writer was quicker
   */
  async take(id: string, onTakenOver: () => void = () => {}): Promise<UploadLock | undefined> {
    const holder = this.#holders.get(id);
    if (holder && !await holder.givesWay()) return undefined;
    // Several may have waited for the same holder.
    if (this.#holders.has(id)) return undefined;
    const taken = new Holder(onTakenOver, () => this.#holders.delete(id));
    this.#holders.set(id, taken);
    return taken;
  }

  /** Whether a partial upload has a writer. */
  isHeld(id: string): boolean {
    return this.#holders.has(id);
  }
}

class Holder implements UploadLock {
  readonly #takeOver: () => void;
  readonly #onReleased: () => void;
  readonly #released = Promise.withResolvers<void>();
  #touched = Date.now();
  #active = true;

  constructor(takeOver: () => void, onReleased: () => void) {
    this.#takeOver = takeOver;
    this.#onReleased = onReleased;
  }

  touch(): void {
    this.#touched = Date.now();
  }

  /** Whether it has released its lock, by itself or because it fell silent and was told to. */
  async givesWay(): Promise<boolean> {
    const touched = this.#touched;
    while (this.#active && Date.now() - touched < STALLED_MS) {
      await this.#releasedWithin(POLL_MS);
      if (this.#touched !== touched) break;
    }
    if (!this.#active) return true;
    if (this.#touched !== touched) return false;
    this.#takeOver();
    // A disk that does not answer may keep it from ending for any time.
    await this.#releasedWithin(RELEASE_MS);
    return !this.#active;
  }

  /** Waits until the lock is released, for at most `ms` milliseconds. */
  async #releasedWithin(ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ms);
    await Promise.race([this.#released.promise, late.promise]);
    clearTimeout(timer);
  }

  [Symbol.dispose](): void {
    if (!this.#active) return;
    this.#active = false;
    this.#onReleased();
    this.#released.resolve();
  }
}
