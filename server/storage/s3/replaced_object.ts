/**
 * Conditions on what has a name in a bucket.
 *
 * @module
 */

import type { Algorithm } from "../../../lib/core/checksum.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { Condition } from "../../../lib/files/commit.ts";
import type { ObjectHead } from "./bucket.ts";
import type { Found } from "./name_lookup.ts";
import { directoryEntry, fileEntry } from "./object_attributes.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { checksumOf } from "./stored_file.ts";

/**
 * Shows a condition what was found under a name.
 *
 * @returns the object, if it is a file
 * @throws what the condition throws
 * @throws {FerryError} the errors of reading the file for its checksum
 */
export async function assertMeets(
  served: ServedBucket,
  name: FileName,
  { found, condition, algorithm }: {
    found: Found | undefined;
    condition: Condition;
    algorithm: Algorithm;
  },
): Promise<ObjectHead | undefined> {
  if (found === undefined || found === "directory") {
    condition(found && directoryEntry(name));
    return undefined;
  }
  const checksum = await checksumOf(served, found, algorithm);
  condition({ ...fileEntry(name, found, algorithm, served.engine), checksum });
  return found;
}
