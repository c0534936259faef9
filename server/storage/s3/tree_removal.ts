/**
 * Removes files and directories from a bucket.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import type { RemoveOptions } from "../storage.ts";
import type { ListedObject, ObjectHead } from "./bucket.ts";
import { hasParts, recordOf } from "./checksum_records.ts";
import { inParallel } from "../in_parallel.ts";
import { type Found, pagesOf } from "./name_lookup.ts";
import { endOf, prefixOf } from "./object_names.ts";
import { assertMeets } from "./replaced_object.ts";
import type { ServedBucket } from "./served_bucket.ts";

/** In a directory with fewer entries than this, others may be removing all of them at the same time. */
const FEW = 16;

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
  { recursive, signal: asked, condition }: RemoveOptions,
): Promise<void> {
  const { lookup, closing } = served;
  const signal = AbortSignal.any([closing, ...(asked ? [asked] : [])]);
  signal.throwIfAborted();
  const found = await lookup.look(name, { signal });
  if (condition) await assertMeets(served, name, { found, condition, algorithm: "md5" });
  if (!found) throw new FerryError("not_found", "no such file or directory");
  if (found === "directory" && !recursive) {
    throw new FerryError("not_a_file", "it is a directory; a recursive remove takes those");
  }
  await keepingParent(served, name, { found, signal }, async () => {
    if (found === "directory") await removeTree(served, name, signal);
    else await removeFile(served, found, signal);
  });
}

/** Removes a file, and what was remembered of it. */
export async function removeFile(
  { bucket, records }: ServedBucket,
  { key, etag }: ObjectHead,
  signal: AbortSignal,
): Promise<void> {
  await bucket.delete(key, { signal });
  if (hasParts({ etag })) await records.forget(key, etag);
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
    const gone = objects.filter((object) => hasParts(object) && !failures.has(object.key));
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

/**
 * Removes something, and keeps its parent directory, which would vanish together with its last entry: it is made
 * explicit before. Others may remove the other entries at the same time; if there are few, it is looked at again.
 *
 * @param found what is removed
 * @param run removes it
 */
export async function keepingParent(
  { bucket }: ServedBucket,
  name: FileName,
  { found, signal }: { found: Found; signal: AbortSignal },
  run: () => Promise<void>,
): Promise<void> {
  const prefix = prefixOf(parentName(name));
  if (prefix === "") return await run();
  const isDirectory = found === "directory";
  const goes = (key: string) => isDirectory ? key.startsWith(prefixOf(name)) : key === name;
  const others = async (startAfter?: string) => {
    const { objects } = await bucket.list({ prefix, startAfter, max: FEW, signal });
    return objects.filter(({ key }) => !goes(key)).length;
  };
  const keep = () => bucket.put(prefix, new Uint8Array(), { signal });
  // What is listed before the contents of a directory is on the first page.
  const count = await others() || (isDirectory ? await others(endOf(prefixOf(name))) : 0);
  if (count === 0) await keep();
  await run();
  if (count > 0 && count < FEW - 1 && await others() === 0) await keep();
}
