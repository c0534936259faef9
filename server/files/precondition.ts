/**
 * Preconditions: what a client requires of a file that it is about to change.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Condition } from "../../lib/files/commit.ts";

/** What a client requires of what has a name. Everything that is given has to hold. */
export interface Precondition {
  /** Nothing may have the name. Default: false. */
  readonly absent?: boolean | undefined;
  /** Something has to have the name: anything, or a file with one of these MD5s. Default: undefined, not required. */
  readonly matches?: "any" | readonly Checksum[] | undefined;
  /** No file with one of these MD5s may have the name. Default: undefined, not required. */
  readonly differs?: readonly Checksum[] | undefined;
  /** A file that has the name may not have been modified later, in whole seconds since 1970. Default: undefined. */
  readonly unmodifiedSince?: number | undefined;
}

/**
 * A precondition as a condition on what has the name, which needs the MD5 of a file. It throws a FerryError, `exists` or
 * `not_found`, where the precondition does not hold.
 */
export function conditionOf(precondition: Precondition): Condition {
  return (there) => {
    if (!there) return assertForNothing(precondition);
    const { absent, matches = "any", differs = [], unmodifiedSince = Infinity } = precondition;
    if (absent) throw new FerryError("exists", "the name is taken");
    if (matches !== "any" && !isAmong(there, matches) || isAmong(there, differs)) {
      throw new FerryError("exists", "the file that has the name is not the one that was expected");
    }
    if (there.type === "file" && Math.floor(there.mtime / 1000) > unmodifiedSince) {
      throw new FerryError("exists", "the file was modified since then");
    }
  };
}

function assertForNothing({ matches }: Precondition): void {
  if (matches === undefined) return;
  throw new FerryError("not_found", "there is no file of that name, but one was expected");
}

function isAmong({ checksum }: Entry, checksums: readonly Checksum[]): boolean {
  return checksum !== null && checksums.includes(checksum);
}
