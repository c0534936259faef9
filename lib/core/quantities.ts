/**
 * Formats numbers of bytes for people.
 *
 * @module
 */

import { format } from "@std/fmt/bytes";

/** The number of digits after the decimal point. */
export interface SizeFormat {
  /** Default: 0. */
  minimumFractionDigits?: number;
  /** Default: 1. */
  maximumFractionDigits?: number;
}

/** Formats a number of bytes in units of 1024: `1.5 KiB`. */
export function formatSize(
  bytes: number,
  { maximumFractionDigits = 1, ...more }: SizeFormat = {},
): string {
  // The library writes the lower-case k of SI; the binary prefix has a capital K (IEC 80000-13).
  return format(bytes, { binary: true, maximumFractionDigits, ...more }).replace("kiB", "KiB");
}
