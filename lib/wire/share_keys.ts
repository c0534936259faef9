/**
 * The keys by which the reply to a `share`, and a line of the reply to a `shares`, describe a share link.
 *
 * @module
 */

import * as v from "valibot";
import { FerryError } from "../core/errors.ts";
import type { SharedLink } from "../core/share_link.ts";
import { boolean, check, integer, key, mtime, string } from "./schema.ts";

/** The most downloads that a link can allow. */
export const MAX_DOWNLOADS = 10_000;

/** The longest time that a link with an end can be valid, in milliseconds: 36525 days. */
export const MAX_LIFETIME_MS: number = 36_525 * 24 * 60 * 60 * 1000;

/** A number of downloads. */
export const downloads = integer(1, MAX_DOWNLOADS);

/** How long a link is valid, in milliseconds. */
export const lifetime = integer(1, MAX_LIFETIME_MS);

/** The keys of a link. */
export const shareKeys = v.object({
  id: key(string, "What `unshare` takes back. It is no secret."),
  url: key(string, "The link. Whoever knows it can use it."),
  filename: key(string, 'The name of the file or directory; "" is the root.'),
  type: v.picklist(["file", "directory"], "is neither file nor directory"),
  upload: key(boolean, "Whether it lets upload into the directory, and see nothing of it."),
  created: key(mtime, "When it was made, in milliseconds since 1970."),
  expires: key(
    v.nullable(mtime),
    "When it ends, in milliseconds since 1970; null where it does not.",
  ),
  downloads: key(
    v.nullable(downloads),
    "How many downloads it allows; null where they are not counted.",
  ),
  taken: key(
    v.nullable(integer(0, MAX_DOWNLOADS)),
    "How many of them were begun; null where they are not counted.",
  ),
});

/**
 * Decodes a line of the reply to a `shares`.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function decodeShareLine(line: string): SharedLink {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new FerryError("bad_header", "a line of the list of links is not JSON");
  }
  return check(shareKeys, value);
}
