/**
 * What a transfer comes to that is only to be foreseen.
 *
 * @module
 */

import type { Transferred } from "./options.ts";

/** The result of a transfer in which nothing crossed; `checksum` is of what is there already. */
export function nothingMoved(
  filename: string,
  { size, checksum = null, skipped = false }:
    & Pick<Transferred, "size">
    & Partial<Pick<Transferred, "checksum" | "skipped">>,
): Transferred {
  return { filename, checksum, size, skipped, transferred: 0, resumedFrom: 0 };
}
