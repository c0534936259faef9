/**
 * Claims: small objects that keep a name free for an upload of many parts that is about to complete.
 *
 * Some stores can refuse a plain PUT where the name is taken, but not the completion of a multipart upload. There a
 * writer that must replace nothing first puts a claim under the name itself, which exactly one of several writers can
 * do, and its completed upload then replaces the claim. A claim counts as absent wherever names are looked up. It is
 * recognized by its size and ETag, which lists tell as well.
 *
 * @module
 */

import type { Metadata, ObjectHead } from "./bucket.ts";

/** A claim older than this, in milliseconds by the clock of the store, belongs to a writer that has gone. */
export const STALE_CLAIM_MS = 60_000;

/** The metadata that names the upload to which a claim belongs. */
const HOLDER_KEY = "ferry-claim";

/** The holder of a claim that was given up. */
const NOBODY = "none";

const TEXT = "This name is taken by an upload that is about to complete: " +
  "ferry 7c1e52a0-93d4-4b0e-8f6a-d05b8e6f2a41/";

const utf8 = new TextEncoder();

/**
 * The contents of claims. A claim is replaced by one of the other content, so that the ETag changes, and of several
 * writers that replace the same one on the condition of its ETag a single one succeeds.
 */
const CLAIMS = [
  { bytes: utf8.encode(`${TEXT}0\n`), etag: "d03e28beb5d56827682ae5910a97cc22" },
  { bytes: utf8.encode(`${TEXT}1\n`), etag: "dabfb6bbc835d35f99d777e157a45c03" },
] as const;

/** Whether an object is a claim, which counts as absent. */
export function isClaim({ size, etag }: { size: number; etag: string }): boolean {
  return CLAIMS.some(({ bytes, etag: own }) => size === bytes.length && etag === own);
}

/** Whether content of that size may be that of a claim. */
export function maySeemClaim(size: number): boolean {
  return CLAIMS.some(({ bytes }) => size === bytes.length);
}

/**
 * The content of a claim.
 *
 * @param replaced the ETag of the claim that it replaces. Default: undefined, the name is free
 */
export function claimBytes(
  { replaced }: { replaced?: string | undefined } = {},
): Uint8Array {
  return CLAIMS[replaced === CLAIMS[0].etag ? 1 : 0].bytes;
}

/** The metadata of a claim; without a holder it was given up. */
export function claimMetadata(holder: string = NOBODY): Metadata {
  return { [HOLDER_KEY]: holder };
}

/** Whether a holder may replace a claim: it is its own, was given up, or its holder has gone. */
export function mayReplaceClaim({ metadata, modified, now }: ObjectHead, holder: string): boolean {
  const by = metadata[HOLDER_KEY];
  return by === holder || by === NOBODY || now - modified > STALE_CLAIM_MS;
}
