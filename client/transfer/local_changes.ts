/**
 * Changes below a local directory, as the system reports them.
 *
 * @module
 */

import { FerryError, fileError } from "../../lib/core/errors.ts";

/** How long nothing more may change before a change is reported, and how long that may be put off, in milliseconds. */
const SETTLED = { quiet: 100, most: 2000 };

/**
 * Watches a directory. Events may get lost, for example where too many come at once, and some file systems have none:
 * whoever relies on this has to look by itself from time to time.
 */
export class LocalChanges implements Disposable {
  readonly #root: string;
  #watcher: Deno.FsWatcher | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  /** Nothing is watched yet. */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Watches the directory that is now at the path, in place of an earlier one.
   *
   * @throws {FerryError} where it cannot be watched; changes are not reported then
   */
  begin(): void {
    this[Symbol.dispose]();
    let watcher: Deno.FsWatcher;
    try {
      watcher = Deno.watchFs(this.#root, { recursive: true });
    } catch (error) {
      // Deno's message for a full table of watches is not one of the system.
      const { code, reason } = fileError(error);
      throw new FerryError(code === "internal" ? "io" : code, reason, { cause: error });
    }
    this.#watcher = watcher;
    void this.#read(watcher);
  }

  async #read(watcher: Deno.FsWatcher): Promise<void> {
    try {
      for await (const { kind } of watcher) {
        // Reading a file is no change: this program does so itself.
        if (kind === "access") continue;
        this.#changed = true;
        this.#wake?.();
      }
    } catch {
      // The directory has gone; the next look finds that out.
      this.#changed = true;
      this.#wake?.();
    }
  }

  /** Takes the changes so far as known: only later ones are reported. */
  forget(): void {
    this.#changed = false;
  }

  /** Waits for a change and until no more follow, but not longer than `ms` milliseconds for the first one. */
  async wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const until = performance.now() + ms;
    while (!this.#changed) {
      const left = until - performance.now();
      if (left <= 0) return;
      await this.#sleep(left, signal);
    }
    const latest = performance.now() + SETTLED.most;
    do {
      this.#changed = false;
      await this.#sleep(SETTLED.quiet, signal);
    } while (this.#changed && performance.now() < latest);
  }

  /** Waits until something changes, at most that long. */
  async #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const timer = setTimeout(wake, ms);
    signal?.addEventListener("abort", wake);
    this.#wake = wake;
    await promise;
    this.#wake = undefined;
    signal?.removeEventListener("abort", wake);
    clearTimeout(timer);
    signal?.throwIfAborted();
  }

  /** Stops watching. */
  [Symbol.dispose](): void {
    try {
      this.#watcher?.close();
    } catch {
      // It has ended by itself.
    }
    this.#watcher = undefined;
  }
}
