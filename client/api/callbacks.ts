/**
 * The callbacks of one transfer.
 *
 * @module
 */

import type { FerryError } from "../../lib/core/errors.ts";
import type {
  Deleted,
  Progress,
  PutTreeOptions,
  RequestOptions,
  TransferOptions,
  Transferred,
  TreeOptions,
} from "../transfer/options.ts";

/**
 * Calls the callbacks of a transfer, and counts the most bytes that any attempt has transferred: an attempt that gets
 * further than those before is progress. A callback that throws ends the transfer.
 */
export class Callbacks {
  /** How many bytes have reached the other side. */
  bytes = 0;
  readonly #failed = new AbortController();
  #unreported: FerryError | undefined;

  /** The options of a transfer of one file, with callbacks wrapped by this. */
  of<Options extends TransferOptions>(options: Options): Options {
    const report = this.#watched(options.onProgress);
    const onProgress = (progress: Progress) => {
      this.bytes = Math.max(this.bytes, progress.bytes);
      report?.(progress);
    };
    return { ...options, onProgress, ...(report ? this.#signal(options) : {}) };
  }

  /** The options of a transfer of a directory, in which each transferred file is progress. */
  ofTree<Options extends TransferOptions & TreeOptions & Pick<PutTreeOptions, "onPublished">>(
    options: Options,
  ): Options {
    const report = this.#watched(options.onFile);
    const onFile = (result: Transferred) => {
      // A file that need not be transferred is no progress: each new connection finds it again.
      this.bytes += result.transferred;
      report?.(result);
    };
    const deleted = this.#watched(options.onDelete);
    const onDelete = (each: Deleted) => {
      this.bytes++;
      deleted?.(each);
    };
    return {
      ...this.of(options),
      onFile,
      onDelete,
      onPlan: this.#watched(options.onPlan),
      onSkip: this.#watched(options.onSkip),
      ...("onPublished" in options ? { onPublished: this.#watched(options.onPublished) } : {}),
      onError: this.#watched(options.onError) ?? ((_, error) => this.#unreported ??= error),
      ...this.#signal(options),
    };
  }

  /**
   * To be called when the transfer has ended.
   *
   * @throws what a callback has thrown; the first failure of a file where there is no `onError`
   */
  assertNoneFailed(): void {
    this.#failed.signal.throwIfAborted();
    if (this.#unreported) throw this.#unreported;
  }

  /** Aborted by the options' own signal, and when a callback has thrown. */
  #signal({ signal }: RequestOptions): { signal: AbortSignal } {
    const failed = this.#failed.signal;
    return { signal: signal ? AbortSignal.any([signal, failed]) : failed };
  }

  #watched<Args extends unknown[]>(
    callback: ((...args: Args) => void) | undefined,
  ): ((...args: Args) => void) | undefined {
    return callback && ((...args) => {
      if (this.#failed.signal.aborted) return;
      try {
        callback(...args);
      } catch (error) {
        this.#failed.abort(error);
        throw error;
      }
    });
  }
}
