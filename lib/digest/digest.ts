/**
 * What a digest is, whatever its algorithm.
 *
 * @module
 */

import type { Checksum } from "../core/checksum.ts";

/** A checksum that is computed chunk by chunk. */
export interface Digest {
  /** Takes the next bytes; they may be overwritten as soon as this returns. */
  update(bytes: Uint8Array): void;
  /** The checksum of all bytes. Nothing may be fed after that. */
  checksum(): Checksum;
}
