/**
 * Names files and their states for clients.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import type { FileIdentity } from "./checksum_cache.ts";

/** How many characters of a digest name a state of a file: 132 bits. */
const VERSION_LENGTH = 22;

/** The name of a file, whichever of its names it is seen by; see `Entry.id`. */
export function fileId(secret: Uint8Array, inode: string): string {
  return createHmac("sha256", secret).update(inode).digest("base64url").slice(0, VERSION_LENGTH);
}

/**
 * The name of a state of a file; see `StoredFile.version`. A change that leaves the size and the times of the file the
 * same is not seen in it.
 *
 * @param secret of this process, so that the name does not reveal the inode
 * @param filename identifies a file on a system without inode numbers
 */
export function contentVersion(
  secret: Uint8Array,
  { key, version }: FileIdentity,
  filename: string,
): string {
  const file = key === "" ? filename : key;
  return fileId(secret, `${file}\n${version}`);
}
