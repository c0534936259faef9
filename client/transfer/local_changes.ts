/**
 * Changes below a local directory, as the system reports them.
 *
 * @module
 */

import { FerryError, fileError } from "../../lib/core/errors.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { LocalRoot } from "./local_root.ts";

/** How long nothing more may change before a change is reported, and how long that may be put off, in milliseconds. */
const SETTLED = { quiet: 100, most: 2000 };

/**
 * Watches a directory. Events may get lost, for example where too many come at once, and some file systems have none:
 * whoever relies on this has to look by itself from time to time.
 */
export class LocalChanges implements Disposable {
  readonly #root: string;
  /** The directory that is watched. */
  #watched: LocalRoot | undefined;
  #watcher: Deno.FsWatcher | undefined;
  /** Settles when no more changes of the watched directory are read. */
  #reading: Promise<void> = Promise.resolve();
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
  async begin(): Promise<void> {
    this[Symbol.dispose]();
    // Until then, closing a watcher of a directory that was moved away also ends a new one of the same path.
    await this.#reading;
    let watcher: Deno.FsWatcher;
    try {
      this.#watched = LocalRoot.at(this.#root);
      watcher = Deno.watchFs(this.#root, { recursive: true });
    } catch (error) {
      // Deno's message for a full table of watches is not one of the system.
      const { code, reason } = fileError(error);
      throw new FerryError(code === "internal" ? "io" : code, reason, { cause: error });
    }
    this.#watcher = watcher;
    this.#reading = this.#read(watcher);
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

  /** Whether the directory that is watched is still the one at the path. */
  get stands(): boolean {
    return this.#watched?.stands ?? false;
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
    const timer = setTimeout(wake, Math.min(ms, MAX_TIMEOUT_MS));
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
    this.#watcher = this.#watched = undefined;
  }
}
