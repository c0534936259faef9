/**
 * The version of what servers keep beside the files of their clients: the number of its format, and the version of ferry
 * that wrote it last. It is a small JSON file in the state directory of a root, or a small object in a bucket.
 *
 * A change that an older ferryd would misread takes a new number: an older ferryd then refuses to serve. State without a
 * version is of format 1, as all versions before this file left it.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { VERSION } from "../../lib/core/version.ts";

/** The format that this version of ferry reads and writes. It takes over what has an older format. */
export const STATE_FORMAT = 1;

/** The name of the file or object. */
export const VERSION_FILE = "version";

/** The maximum size of the file in bytes. */
export const MAX_VERSION_BYTES = 1024;

/** The content of the file that this version of ferry writes. */
export const OWN_VERSION: string = `${JSON.stringify({ format: STATE_FORMAT, ferry: VERSION })}\n`;

/**
 * Checks that this version of ferry can work with the state.
 *
 * @param text the content of the file
 * @param place what contains the state, for the message of an error
 * @throws {FerryError} `bad_version` if a newer ferry wrote it in a format that this one does not know, or if it is no
 * version
 */
export function assertKnownFormat(text: string, place: string): void {
  const { format, ferry } = parse(text) ?? {};
  if (format === undefined) {
    throw new FerryError(
      "bad_version",
      `${place}/${VERSION_FILE} does not say which version of ferry wrote what is there: restore ` +
        `it, or remove it if that was ferry ${VERSION} or an older version`,
    );
  }
  if (format > STATE_FORMAT) {
    throw new FerryError(
      "bad_version",
      `ferry ${ferry} wrote ${place} in format ${format}, and this is ferry ${VERSION}, which ` +
        `knows formats up to ${STATE_FORMAT}: start ferry ${ferry} or a newer version`,
    );
  }
}

function parse(text: string): { format: number; ferry: string } | undefined {
  try {
    const { format, ferry } = JSON.parse(text);
    const valid = Number.isSafeInteger(format) && format > 0 && typeof ferry === "string";
    return valid ? { format, ferry: ferry.slice(0, 64) } : undefined;
  } catch {
    return undefined;
  }
}
