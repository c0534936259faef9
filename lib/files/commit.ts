/**
 * The options and the result of publishing a staged file under its name.
 *
 * @module
 */

import type { Checksum } from "../core/checksum.ts";
import type { Entry, Unkept } from "../core/entry.ts";

/**
 * A condition on what has a name that is about to be changed; undefined if nothing has it. The checksum of a file is
 * known. If the condition throws, nothing is changed, and the change fails with that error.
 */
export type Condition = (there: Entry | undefined) => void;

/** Options of a commit. */
export interface CommitOptions {
  /** The checksum of everything that was written, computed and verified by the caller. */
  checksum: Checksum;
  /** Whether an existing file of that name is replaced. */
  replace: boolean;
  /** The modification time to keep, in milliseconds since 1970. */
  mtime?: number | undefined;
  /**
   * The permission bits to keep, 0 to 0o777. If given, the commit fails if they or `mtime` cannot be set. Otherwise the
   * bits of a replaced file SHOULD be kept.
   */
  mode?: number | undefined;
  /**
   * A check that MUST be called right before the file gets its name. If it throws, the commit fails with that error.
   */
  assertMay?: (() => void) | undefined;
  /**
   * A condition on what is replaced; checksums that it sees are of the algorithm of `checksum`. What is replaced MUST
   * be what the condition was shown last: otherwise the commit fails with `exists`. A storage that others can change
   * ensures this as far as it is able to. Default: undefined, none.
   */
  condition?: Condition | undefined;
}

/** The result of a commit. */
export interface Committed {
  /** The checksum of the file under the name. */
  checksum: Checksum;
  /** Its size in bytes. */
  size: number;
  /** Whether an identical file existed and was kept. */
  unchanged: boolean;
  /**
   * The attributes of the file that could not be kept and had not been requested explicitly by `mode`. Default:
   * undefined, none.
   */
  unkept?: readonly Unkept[] | undefined;
}
