/**
 * Locks on partial uploads: each has one writer at a time, and a stalled writer gives way to another.
 *
 * @module
 */

import type { Clock, Timer } from "../../lib/core/clock.ts";

/** A holder that has written nothing for this long, in milliseconds, has stalled and gives way. */
const STALLED_MS = 2000;

/** The interval at which a holder is checked while another client waits for its lock, in milliseconds. */
const POLL_MS = 100;

/** How long a holder may take to release its lock after it was told to end, in milliseconds. */
const RELEASE_MS = 5000;

/** The right to write to a partial upload, until it is disposed of. */
export interface UploadLock extends Disposable {
  /** Records that bytes were written, so that the holder does not count as stalled. */
  touch(): void;
}

/** Keeps the holder of a lock from counting as stalled while it works without bytes, until this is disposed of. */
export function keepTouched(lock: UploadLock, clock: Clock): Disposable {
  let timer: Timer | undefined;
  const touch = () => {
    lock.touch();
    timer = clock.setTimeout(touch, STALLED_MS / 4);
  };
  touch();
  return { [Symbol.dispose]: () => clock.clearTimeout(timer) };
}

/** The locks of one server. */
export class UploadLocks {
  readonly #holders = new Map<string, Holder>();

  /**
   * Takes the lock of a partial upload. If it is held, waits until the holder releases it or has written nothing for 2
   * s. A stalled holder's `onTakenOver` is then called, and it has 5 s to release the lock.
   *
   * @param id the id of the partial upload
   * @param onTakenOver called when another writer takes over; the lock must be released soon then
   * @returns undefined if the holder keeps the lock, or another writer was faster
   */
  async take(id: string, onTakenOver: () => void = () => {}): Promise<UploadLock | undefined> {
    const holder = this.#holders.get(id);
    if (holder && !await holder.givesWay()) return undefined;
    // Several writers may have waited for the same holder.
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

  /** Waits until the holder releases its lock, or stalls and is told to. Returns whether it released it. */
  async givesWay(): Promise<boolean> {
    const touched = this.#touched;
    while (this.#active && Date.now() - touched < STALLED_MS) {
      await this.#releasedWithin(POLL_MS);
      if (this.#touched !== touched) break;
    }
    if (!this.#active) return true;
    if (this.#touched !== touched) return false;
    this.#takeOver();
    // If the disk does not respond, the holder may take any time to end.
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
