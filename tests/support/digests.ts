/**
 * Checksums for tests.
 *
 * @module
 */

import { Digests } from "../../lib/digest/digests.ts";

/** Computes digests in tests. */
export const DIGESTS: Digests = new Digests();

/** The md5 of bytes, in lower-case hexadecimal. */
export function md5Of(bytes: Uint8Array): string {
  return DIGESTS.md5Of(bytes);
}
