/**
 * Compares secrets in constant time, so that the time taken reveals nothing.
 *
 * @module
 */

import { timingSafeEqual } from "@std/crypto/timing-safe-equal";

/** Whether two byte arrays are equal, in a time that does not depend on where they differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  // The library does not accept arrays of different lengths.
  return a.length === b.length && timingSafeEqual(a, b);
}
