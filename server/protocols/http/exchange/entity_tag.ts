/**
 * Entity tags: validators of the content of files.
 *
 * @module
 */

import type { Checksum } from "../../../../lib/core/checksum.ts";

/** The strong entity tag of a file: its checksum in quotes. */
export function entityTag(checksum: Checksum): string {
  return `"${checksum}"`;
}
