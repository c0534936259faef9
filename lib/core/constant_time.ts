/**
 * Comparing what nobody may find out by trying.
 *
 * @module
 */

import { timingSafeEqual } from "@std/crypto/timing-safe-equal";

/** Whether two pieces of bytes are the same, in a time that does not tell where they differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  // The library takes no two of different lengths.
  return a.length === b.length && timingSafeEqual(a, b);
}
