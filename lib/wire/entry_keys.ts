/**
 * The keys by which the reply to a `stat`, and a line of a `list`, describe a file or a directory.
 *
 * @module
 */

import * as v from "valibot";
import { algorithmOf } from "../core/checksum.ts";
import type { Entry } from "../core/entry.ts";
import { checksumKeys } from "./checksum_keys.ts";
import type { HeaderKeys } from "./codec.ts";
import { checksum, fileSize, key, mode, mtime, string } from "./schema.ts";

/** The keys of an entry. */
export const entry = v.object({
  filename: key(string, "The name, relative to the root."),
  type: v.picklist(["file", "directory"], "is neither file nor directory"),
  size: key(fileSize, "The size in bytes; 0 for a directory."),
  mtime: key(mtime, "The modification time in milliseconds since 1970."),
  mode: key(mode, "The permission bits, 0 to 511 (0o777)."),
  checksum,
  id: key(
    v.optional(string),
    "In a list with `ids`: the same for all names of a file that has several, as hard links.",
  ),
});

/** Encodes an entry as the keys of a header or a line. */
export function entryKeys({ checksum, ...keys }: Entry): HeaderKeys {
  return { ...keys, ...checksumKeys(checksum && algorithmOf(checksum) || "md5", checksum) };
}
