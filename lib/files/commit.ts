/**
 * What it takes to give a staged file its name, and what came of it.
 *
 * @module
 */

import type { Checksum } from "../core/checksum.ts";
import type { Unkept } from "../core/entry.ts";

/** Options of a commit. */
export interface CommitOptions {
  /** The checksum of all that was written, as the caller computed and verified it. */
  checksum: Checksum;
  /** Whether a file of that name is replaced. */
  replace: boolean;
  /** The modification time to keep, in milliseconds since 1970. */
  mtime?: number | undefined;
  /**
   * The permission bits to keep, 0 to 0o777. With them the commit fails where they or `mtime` cannot be kept; without
   * them those of a file that is replaced SHOULD stay.
   */
  mode?: number | undefined;
  /** MUST be called right before the file gets its name; what it throws refuses the commit. */
  assertMay?: (() => void) | undefined;
}

/** What a commit came to. */
export interface Committed {
  /** The checksum of the file under the name. */
  checksum: Checksum;
  /** Its size in bytes. */
  size: number;
  /** Whether an identical file was there already and stayed. */
  unchanged: boolean;
  /** What of the file was not kept, and nobody had asked for by `mode`. Default: nothing. */
  unkept?: readonly Unkept[] | undefined;
}
