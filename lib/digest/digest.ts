/**
 * The interface of digests of all algorithms.
 *
 * @module
 */

import type { Checksum } from "../core/checksum.ts";

/** A checksum that is computed chunk by chunk. */
export interface Digest {
  /** Adds the next bytes. The caller may reuse the array when this returns. */
  update(bytes: Uint8Array): void;
  /** The checksum of all bytes. Nothing may be added afterwards. */
  checksum(): Checksum;
}
