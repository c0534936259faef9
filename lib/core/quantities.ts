/**
 * Numbers of bytes as people read them.
 *
 * @module
 */

import { format } from "@std/fmt/bytes";

/** How many digits stand behind the point; at most one unless told otherwise. */
export interface SizeFormat {
  /** No fewer. */
  minimumFractionDigits?: number;
  /** No more. */
  maximumFractionDigits?: number;
}

/** A number of bytes in units of 1024: `1.5 KiB`. */
export function formatSize(
  bytes: number,
  { maximumFractionDigits = 1, ...more }: SizeFormat = {},
): string {
  // The library writes the small letter of SI, which the binary prefix does not have (IEC 80000-13).
  return format(bytes, { binary: true, maximumFractionDigits, ...more }).replace("kiB", "KiB");
}
