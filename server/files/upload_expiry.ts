/**
 * Discards uploads for which nothing has come for a long time, and what is remembered of those that are complete.
 *
 * @module
 */

import { toFerryError } from "../../lib/core/errors.ts";
import type { Clock, Timer } from "../../lib/core/clock.ts";
import type { Storage } from "../storage/storage.ts";
import type { UploadLocks } from "./upload_locks.ts";
import { type RecordKeeper, UploadRecords } from "./upload_records.ts";
import { discardBytes, lockOf, partialOf } from "./upload_register.ts";

/** How often uploads are looked through, in milliseconds. */
const EVERY_MS = 60 * 60_000;

/** What an expiry needs. */
export interface ExpiryOptions {
  /** The storage of the server. */
  readonly storage: Storage;
  /** Keeps the records of the uploads. */
  readonly records: RecordKeeper;
  /** The locks that arbitrate between the writers of uploads. */
  readonly locks: UploadLocks;
  /** How long an upload is kept after its last byte, in milliseconds. */
  readonly ttl: number;
  /** The clock. */
  readonly clock: Clock;
}

/**
 * Discards the uploads of all owners for which nothing has come for `ttl` milliseconds and that nobody works on. Files
 * that they have become stay.
 *
 * @throws {FerryError} the first error, after everything else was tried
 */
export async function expireAddressedUploads(options: ExpiryOptions): Promise<void> {
  const { storage, records, locks, ttl, clock } = options;
  const uploads = new UploadRecords(records);
  const heard = clock.now() - ttl;
  let failure: { error: unknown } | undefined;
  for (const id of await Array.fromAsync(uploads.ids())) {
    try {
      if (locks.isHeld(lockOf(id))) continue;
      const record = await uploads.read(id);
      if (!record || record.touched > heard) continue;
      const known = { id, record };
      const partial = await partialOf(storage, known);
      if (partial && (partial.entry.active || partial.entry.mtime > heard)) continue;
      await discardBytes(storage, known);
      await uploads.remove(id);
    } catch (error) {
      // One that was begun again meanwhile is not old any more.
      if (toFerryError(error).code !== "busy") failure ??= { error };
    }
  }
  if (failure) throw failure.error;
}

/**
 * Calls {@linkcode expireAddressedUploads} every hour until it is disposed of.
 *
 * @param onFailure called with what one of the calls fails with
 */
export function keepExpiring(
  options: ExpiryOptions,
  onFailure: (error: unknown) => void,
): Disposable {
  const { clock } = options;
  let timer: Timer | undefined;
  const later = () => {
    timer = clock.setTimeout(() => {
      later();
      void expireAddressedUploads(options).catch(onFailure);
    }, EVERY_MS);
  };
  later();
  return { [Symbol.dispose]: () => clock.clearTimeout(timer) };
}
