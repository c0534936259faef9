/**
 * Uploads a directory again and again, whenever something in it has changed.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { FerryError, mayPass, toFerryError } from "../../lib/core/errors.ts";
import { assertNumbers } from "../../lib/core/number_options.ts";
import { LocalChanges } from "../transfer/local_changes.ts";
import { isLocalFailure } from "../transfer/local_failure.ts";
import { localPathFor } from "../transfer/local_path.ts";
import type { Pass, PutTreeOptions, WatchTreeOptions } from "../transfer/options.ts";

/** How often the whole directory is compared even if no change was reported, in milliseconds. */
const RESCAN_MS = 30_000;

/** The wait after a failed pass doubles from `first` up to `longest`, in milliseconds. */
const BACKOFF = { first: 500, longest: 30_000 };

/** Makes one pass over the directory. */
type PutTree = (root: string, options: PutTreeOptions) => Promise<void>;

/**
 * Uploads a directory, and what changes in it; see `Client.watchTree`.
 *
 * @throws the signal's reason when it is aborted; {@linkcode FerryError} where the first pass fails for good; `usage` if
 * the directory is to be published as one
 */
export async function watchTree(
  putTree: PutTree,
  root: string | URL,
  { rescan = RESCAN_MS, onPass, onWatching, onWaiting, ...given }: WatchTreeOptions,
): Promise<never> {
  assertNumbers({ rescan }, { least: 1 });
  // Types do not keep plain JavaScript from passing it.
  if ((given as PutTreeOptions).atomic) {
    throw new FerryError("usage", "what is watched is not published as one directory");
  }
  const path = localPathFor(root, "watch it");
  const options = { ...given, overwrite: given.overwrite ?? "different" };
  const { signal } = options;
  using changes = new LocalChanges(path);
  const told = new Told(options);
  let unwatched = await begin(changes);
  let first = true;
  let isWaiting = false;
  for (let failures = 0;;) {
    // Before the pass, so that no change is missed which it does not see.
    if (!changes.stands) unwatched = await begin(changes);
    changes.forget();
    const pass = told.pass(first);
    let failure: FerryError | undefined;
    try {
      await putTree(path, pass.options);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      failure = toFerryError(error);
      // What the first pass finds wrong is wrong with the command.
      if (first && !mayPass(failure)) throw failure;
    }
    if (failure) {
      if (!isWaiting) onWaiting?.(failure);
      isWaiting = true;
    } else {
      isWaiting = false;
      onPass?.(pass.end());
      if (first) onWatching?.(unwatched);
      first = false;
    }
    failures = failure || pass.failed > 0 ? failures + 1 : 0;
    // A directory that is not there now may be another one when it is back.
    if (unwatched || failure && isLocalFailure(failure)) unwatched = await begin(changes);
    const backoff = Math.min(BACKOFF.first * 2 ** (failures - 1), BACKOFF.longest);
    if (failure) await delay(backoff, signal ? { signal } : {});
    else await changes.wait(failures > 0 ? Math.min(backoff, rescan) : rescan, signal);
    signal?.throwIfAborted();
  }
}

/** Watches a directory; returns why it cannot be watched, if so. */
async function begin(changes: LocalChanges): Promise<FerryError | undefined> {
  try {
    await changes.begin();
    return undefined;
  } catch (error) {
    return toFerryError(error);
  }
}

/** What was told before, so that later passes do not repeat it. */
class Told {
  readonly #options: PutTreeOptions;
  #before: ReadonlySet<string> = new Set();

  constructor(options: PutTreeOptions) {
    this.#options = options;
  }

  /** The options of a pass, in which only what is new is told. */
  pass(first: boolean): { options: PutTreeOptions; readonly failed: number; end(): Pass } {
    const { onFile, onSkip, onError, onDelete } = this.#options;
    const counts = { files: 0, deleted: 0, failed: 0, bytes: 0 };
    const started = performance.now();
    const now = new Set<string>();
    const isNew = (...what: string[]) => {
      const key = what.join("\0");
      now.add(key);
      return !this.#before.has(key);
    };
    return {
      options: {
        ...this.#options,
        onFile(result) {
          if (!result.skipped) counts.files++;
          counts.bytes += result.transferred;
          if (first || !result.skipped) onFile?.(result);
        },
        onDelete(deleted) {
          counts.deleted++;
          onDelete?.(deleted);
        },
        onSkip(skipped) {
          if (isNew("skip", skipped.path, skipped.reason)) onSkip?.(skipped);
        },
        onError(filename, error) {
          counts.failed++;
          if (isNew("error", filename, error.message)) onError?.(filename, error);
        },
      },
      get failed() {
        return counts.failed;
      },
      end: () => {
        this.#before = now;
        return { first, ...counts, seconds: (performance.now() - started) / 1000 };
      },
    };
  }
}
