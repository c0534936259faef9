/**
 * Removes what interrupted uploads have left. Everything is read page by page and removed as it is found, so that any
 * number takes the same memory, and what one run does not reach is left for the next one.
 *
 * @module
 */

import type { FileName } from "../../../lib/core/remote_name.ts";
import type { ListedUpload } from "./bucket.ts";
import { inParallel } from "../in_parallel.ts";
import { isClaim, STALE_CLAIM_MS } from "./claim.ts";
import type { ResumableContext } from "./resumable_write.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { idsOf, type StoredRecord } from "./upload_records.ts";

/** By how much the clock of a store may differ from ours, in milliseconds: stores refuse requests beyond that. */
const MAX_SKEW_MS = 15 * 60_000;

/** How many uploads are removed at the same time. */
const AT_ONCE = 8;

/** What the caller knows of partial uploads, and does with old ones. */
export interface Expiry {
  /** Whether this process writes the partial upload with that id. */
  isOpen(id: string): boolean;
  /** Removes a partial upload. */
  drop(stored: StoredRecord): Promise<void>;
}

/**
 * Removes the partial uploads that nobody writes and that were last written more than `ttl` milliseconds ago, and the
 * multipart uploads that are older and that no record knows.
 *
 * @throws {FerryError} the first error, after everything else was tried
 */
export async function expireUploads(
  context: ResumableContext,
  ttl: number,
  { isOpen, drop }: Expiry,
): Promise<void> {
  const { served, records, begun } = context;
  const { clock } = served.runtime;
  const failures: unknown[] = [];
  const attempt = (work: () => Promise<void>) =>
    work().catch((error) => void (failures[0] ??= error));
  // Whatever the store's clock says exactly, what is as young as this is kept.
  const isOld = (time: number) => time - MAX_SKEW_MS <= clock.now() - ttl;

  for await (const page of records.all("", (id, modified) => !isOpen(id) && isOld(modified))) {
    const old = page.filter(({ id, isHeld, age }) => !isHeld && age >= ttl && !isOpen(id));
    await inParallel(AT_ONCE, old, (stored) => attempt(() => drop(stored)));
    served.closing.throwIfAborted();
  }
  // With a negative time everything is old that this process is not writing.
  const least = ttl < 0 ? -MAX_SKEW_MS : ttl + MAX_SKEW_MS;
  for await (const page of served.bucket.uploads()) {
    const old = page.filter(({ initiated, uploadId }) =>
      initiated <= clock.now() - least && !begun.has(uploadId)
    );
    await inParallel(AT_ONCE, old, (upload) => attempt(() => expireOrphan(context, upload)));
    served.closing.throwIfAborted();
  }
  if (failures.length > 0) throw failures[0];
}

/** Aborts a multipart upload unless a record knows it. */
async function expireOrphan(
  { served, records }: ResumableContext,
  upload: ListedUpload,
): Promise<void> {
  for await (const page of records.all(await idsOf(upload.key as FileName))) {
    if (page.some(({ record }) => record.uploadId === upload.uploadId)) return;
  }
  await served.bucket.abort(upload);
  await removeStaleClaim(served, upload.key);
}

/** Removes the claim that an upload has left which was killed right before it was complete. */
async function removeStaleClaim({ bucket }: ServedBucket, key: string): Promise<void> {
  const head = await bucket.head(key);
  if (head && isClaim(head) && head.now - head.modified > STALE_CLAIM_MS) await bucket.delete(key);
}
