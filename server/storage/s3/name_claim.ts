/**
 * Takes names that nothing may have before, so that of several writers exactly one gets a name. It needs a store with
 * conditional PUT.
 *
 * @module
 */

import { sleep } from "../../../lib/core/clock.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { ObjectHead } from "./bucket.ts";
import { claimBytes, claimMetadata, isClaim, mayReplaceClaim, STALE_CLAIM_MS } from "./claim.ts";
import type { ServedBucket } from "./served_bucket.ts";

/** The interval at which a name is looked at while another writer has a claim on it, in milliseconds. */
const POLL_MS = 250;

/** The condition of a PUT. Default: none. */
export interface Condition {
  /** The key has to be free. */
  ifAbsent?: true;
  /** The ETag of the object that is replaced. */
  ifMatch?: string | undefined;
}

/** A name that is to be taken. */
export interface WantedName {
  /** The name. */
  readonly name: FileName;
  /** Identifies the writer, also when another process goes on with its work. */
  readonly holder: string;
  /** Called right before each attempt; see `CommitOptions.assertMay`. */
  readonly assertMay?: (() => void) | undefined;
}

/** Whether the store of a bucket lets a name be claimed. */
export function canClaim({ engine: { conditionalPut, replaceIfMatch } }: ServedBucket): boolean {
  return conditionalPut && replaceIfMatch;
}

/**
 * Takes a name by a conditional PUT: if it is free, or if a claim has it whose holder has gone. Waits while another
 * writer has a claim on it.
 *
 * @param put puts an object under the name on a condition; returns undefined if that does not hold
 * @returns the file that has the name; undefined if the name was taken
 * @throws {FerryError} `busy` if others keep taking it
 */
export async function takeName(
  served: ServedBucket,
  { name, holder, assertMay }: WantedName,
  put: (condition: Condition) => Promise<string | undefined>,
): Promise<ObjectHead | undefined> {
  const { bucket, engine: { replaceIfMatch }, runtime: { clock }, closing } = served;
  const until = clock.monotonic() + 2 * STALE_CLAIM_MS;
  do {
    assertMay?.();
    if (await put({ ifAbsent: true }) !== undefined) return undefined;
    const head = await bucket.head(name);
    if (head && !isClaim(head)) return head;
    const given = head && replaceIfMatch && mayReplaceClaim(head, holder);
    if (given && await put({ ifMatch: head.etag }) !== undefined) return undefined;
    await sleep(clock, POLL_MS, closing);
  } while (clock.monotonic() < until);
  throw new FerryError("busy", "other writers keep taking that name");
}

/**
 * Puts a claim under a name, which keeps it free until something replaces the claim; at most
 * {@linkcode STALE_CLAIM_MS}.
 *
 * @returns the ETag of the claim, or the file that has the name
 * @throws {FerryError} `busy` if others keep taking it
 */
export async function claimName(
  served: ServedBucket,
  wanted: WantedName,
): Promise<{ claimed: string } | { existing: ObjectHead }> {
  let claimed: string | undefined;
  const put = async (condition: Condition) =>
    claimed = await putClaim(served, wanted.name, { condition, holder: wanted.holder });
  const existing = await takeName(served, wanted, put);
  return existing ? { existing } : { claimed: claimed! };
}

/**
 * Gives a claim up that was not used, so that other writers need not wait until it is stale. It stays under the name,
 * where it counts as absent. If something has replaced it, this does nothing. Never fails.
 *
 * @param claimed the ETag of the claim
 */
export async function giveUpClaim(
  served: ServedBucket,
  name: FileName,
  claimed: string,
): Promise<void> {
  await putClaim(served, name, { condition: { ifMatch: claimed } }).catch(() => {});
}

function putClaim(
  { bucket }: ServedBucket,
  name: FileName,
  { condition, holder }: { condition: Condition; holder?: string },
): Promise<string | undefined> {
  const bytes = claimBytes({ replaced: condition.ifMatch });
  return bucket.put(name, bytes, { metadata: claimMetadata(holder), ...condition });
}
