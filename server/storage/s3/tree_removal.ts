/**
 * Removes files and directories from a bucket.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import type { RemoveOptions } from "../storage.ts";
import type { ListedObject } from "./bucket.ts";
import { recordOf } from "./checksum_records.ts";
import { inParallel } from "./in_parallel.ts";
import { pagesOf } from "./name_lookup.ts";
import { endOf, prefixOf } from "./object_names.ts";
import type { ServedBucket } from "./served_bucket.ts";

/** How many objects are deleted by one request: some stores delete them one after the other, and slowly. */
const BATCH = 250;

/** How many such requests are made at the same time. */
const BATCHES_AT_ONCE = 4;

/**
 * Removes a file or a directory, as `Storage.remove` does. Where both have the name, the file is removed.
 *
 * @throws {FerryError} `not_found`, `not_a_file`, `io`
 */
export async function remove(
  served: ServedBucket,
  name: FileName,
  { recursive, signal: asked }: RemoveOptions,
): Promise<void> {
  const { bucket, lookup, closing } = served;
  const signal = AbortSignal.any([closing, ...(asked ? [asked] : [])]);
  signal.throwIfAborted();
  const found = await lookup.look(name, { signal });
  if (!found) throw new FerryError("not_found", "no such file or directory");
  if (found === "directory") {
    if (!recursive) {
      throw new FerryError("not_a_file", "it is a directory; a recursive remove takes those");
    }
    await keepParent(served, name, signal);
    await removeTree(served, name, signal);
    return;
  }
  await keepParent(served, name, signal);
  await bucket.delete(name, { signal });
  if (hasRecord(found)) await served.records.forget(name, found.etag);
}

/** Removes everything below a directory, page by page, and its marker. It can be repeated. */
async function removeTree(
  served: ServedBucket,
  name: FileName,
  signal: AbortSignal,
): Promise<void> {
  const removal = new Removal(served, signal);
  for await (const objects of pagesOf(served.bucket, { prefix: prefixOf(name), signal })) {
    await removal.delete(objects);
  }
  removal.assertComplete();
}

/** Deletes objects in batches, and goes on where some of them cannot be deleted. */
export class Removal {
  readonly #served: ServedBucket;
  readonly #signal: AbortSignal;
  /** How many objects were deleted. */
  deleted = 0;
  #stayed = 0;
  #failure: FerryError | undefined;

  /** Deletes until the signal is aborted. */
  constructor(served: ServedBucket, signal: AbortSignal) {
    this.#served = served;
    this.#signal = signal;
  }

  /** Deletes objects, and what was remembered of them. */
  async delete(objects: readonly ListedObject[]): Promise<void> {
    const starts = Array.from({ length: Math.ceil(objects.length / BATCH) }, (_, at) => at * BATCH);
    await inParallel(BATCHES_AT_ONCE, starts, async (start, failed) => {
      const signal = AbortSignal.any([this.#signal, failed]);
      signal.throwIfAborted();
      await this.#deleteBatch(objects.slice(start, start + BATCH), signal);
    });
  }

  async #deleteBatch(objects: readonly ListedObject[], signal: AbortSignal): Promise<void> {
    const { bucket } = this.#served;
    const keys = objects.map(({ key }) => key);
    const failures = await bucket.deleteAll(keys, { signal });
    this.deleted += keys.length - failures.size;
    for (const [key, failure] of failures) {
      const { code, reason } = toFerryError(failure);
      this.#stayed++;
      this.#failure ??= new FerryError(code, `${quote(key)} stays: ${reason}`, { cause: failure });
    }
    const gone = objects.filter((object) => hasRecord(object) && !failures.has(object.key));
    if (gone.length === 0) return;
    const records = await Promise.all(gone.map(({ key, etag }) => recordOf(key, etag)));
    await bucket.deleteAll(records, { signal });
  }

  /**
   * Fails if objects stayed.
   *
   * @throws {FerryError} why the first of them was not deleted
   */
  assertComplete(): void {
    if (!this.#failure) return;
    const { code, reason, cause } = this.#failure;
    const others = this.#stayed - 1;
    const all = others === 0 ? reason : `${reason}; ${others} more stay`;
    throw new FerryError(code, all, { cause });
  }
}

/** Whether a checksum may have been remembered of an object because its ETag does not tell it. */
export function hasRecord({ etag }: { etag: string }): boolean {
  return etag.includes("-");
}

/**
 * Makes the parent directory explicit if it would vanish together with its last entry.
 *
 * @param name the file or directory that is about to be removed
 */
export async function keepParent(
  { bucket }: ServedBucket,
  name: FileName,
  signal: AbortSignal,
): Promise<void> {
  const parent = prefixOf(parentName(name));
  if (parent === "") return;
  const own = (key: string) => key === name || key.startsWith(prefixOf(name));
  const { objects } = await bucket.list({ prefix: parent, max: 2, signal });
  // Keys before those of a directory are listed before them, so two of them suffice.
  if (objects.some(({ key }) => !own(key))) return;
  const startAfter = endOf(prefixOf(name));
  const behind = await bucket.list({ prefix: parent, startAfter, max: 1, signal });
  if (behind.objects.length === 0) await bucket.put(parent, new Uint8Array(), { signal });
}
