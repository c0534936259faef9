/**
 * Explains that there is no room for an upload.
 *
 * @module
 */

import type { PartEntry } from "../../lib/core/entry.ts";
import { type ErrorCode, FerryError } from "../../lib/core/errors.ts";
import { formatSize } from "../../lib/core/quantities.ts";

/** The errors that mean that there is no space for a file. */
const NO_ROOM: readonly ErrorCode[] = ["quota", "no_space"];

/**
 * Adds to `quota` and `no_space` how many bytes the client's own partial uploads take. The text names commands of
 * `ferry` as a hint for people; no code depends on them.
 */
export async function withKeptBytes(
  failure: FerryError,
  ownPartials: () => Promise<readonly PartEntry[]>,
): Promise<FerryError> {
  if (!NO_ROOM.includes(failure.code)) return failure;
  const kept = (await ownPartials()).filter(({ active }) => !active);
  const bytes = kept.reduce((sum, { received }) => sum + received, 0);
  if (bytes === 0) return failure;
  return new FerryError(
    failure.code,
    `${failure.reason}; your uploads that were cut take ${formatSize(bytes)} of it: ` +
      "ferry ls --partial lists them, ferry rm --partial NAME removes them",
    { cause: failure },
  );
}
