/**
 * Names as peers give them. A {@linkcode FileName} is relative to the server's root, its parts are
 * separated by `/`, and none of them can lead out of the root or into the staging area.
 *
 * @module
 */

import { FerryError } from "./errors.ts";
import { PLATFORM, type Platform } from "./platform.ts";

/** A name that passed {@linkcode parseFileName}; the brand exists for the type checker only. */
export type FileName = string & { readonly brand: "FileName" };

/** The directory inside a root that belongs to ferry itself; no name reaches it. */
export const RESERVED_DIRECTORY = ".ferry";

/**
 * How the names begin of what ferry keeps on other file systems below a root; no name reaches it, wherever it
 * stands.
 */
export const STAGING_DIRECTORY = ".ferry-staging";

/** Whether a part of a name is ferry's own in any directory. */
export function isStagingName(part: string): boolean {
  // Case is folded because some file systems do.
  return part.startsWith(".") && part.toLowerCase().startsWith(STAGING_DIRECTORY);
}

/**
 * Whether a file in a directory was removed while a program had it open: file systems in user space (libfuse) keep
 * it under such a name until it is closed, and give it another one where it is removed once more.
 */
export function isRemovedName(part: string): boolean {
  return /^\.fuse_hidden[0-9a-f]{16}$/.test(part);
}

/** The longest name, in bytes of UTF-8: Linux's PATH_MAX less room for the root's own path. */
export const MAX_NAME_BYTES = 3072;

/** The longest part of a name between two slashes, in bytes of UTF-8 (NAME_MAX). */
export const MAX_PART_BYTES = 255;

/** The runtime puts this in the place of bytes in a name that are no text, and then finds nothing by that name. */
const NO_TEXT = "\ufffd";

const utf8 = new TextEncoder();

/** Whether a name that was read from a directory, and under which nothing is found, may not be UTF-8. */
export function mayBeNoText(name: string): boolean {
  return name.includes(NO_TEXT);
}

/** Why nothing can be done with a name that is not UTF-8. */
export function notText(): FerryError {
  return new FerryError("bad_name", "its name is not UTF-8");
}

/**
 * Checks a name that a peer gave.
 *
 * @throws {FerryError} `bad_name`, with what is wrong with it
 */
export function parseFileName(text: string): FileName {
  const bad = flaw(text);
  if (bad !== undefined) throw new FerryError("bad_name", bad);
  return text as FileName;
}

/**
 * Checks the name of a directory; here the empty name stands for the root.
 *
 * @throws {FerryError} `bad_name`, with what is wrong with it
 */
export function parseDirectoryName(text: string): FileName | "" {
  return text === "" ? "" : parseFileName(text);
}

/**
 * Checks that a system can store a file under a name, and under no other one.
 *
 * @throws {FerryError} `bad_name`, with what is wrong with it
 */
export function assertStorable(name: FileName, { flawOf }: Platform = PLATFORM): void {
  for (const part of name.split("/")) {
    const bad = flawOf(part);
    if (bad !== undefined) throw new FerryError("bad_name", bad);
  }
}

/** A name inside a directory; `directory` may be the root, "". */
export function joinName(directory: FileName | "", part: string): FileName {
  return (directory === "" ? part : `${directory}/${part}`) as FileName;
}

/**
 * The same for two names that some file system may take for the same, since it tells upper and lower case apart as
 * little as the ways to compose a letter.
 */
export function foldName(name: string): string {
  // What has several small letters, or none of its own, has one capital.
  return name.toUpperCase().toLowerCase().normalize("NFC");
}

/** Whether a name is longer than any that can be asked for. */
export function isTooLong(name: string): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8, so most names need no encoding to be measured.
  return name.length * 3 > MAX_NAME_BYTES && utf8.encode(name).length > MAX_NAME_BYTES;
}

/** The directory that a name stands in; "" is the root. */
export function parentName(name: FileName): FileName | "" {
  return name.slice(0, Math.max(0, name.lastIndexOf("/"))) as FileName | "";
}

function flaw(text: string): string | undefined {
  if (text === "") return "the name is empty";
  if (!text.isWellFormed()) return "the name is not well-formed Unicode";
  if (text.includes("\0")) return "the name contains a NUL character";
  if (text.startsWith("/")) return "the name starts with a slash; names are relative to the root";
  if (text.endsWith("/")) return "the name ends with a slash";
  if (isTooLong(text)) return `the name is longer than ${MAX_NAME_BYTES} bytes`;
  const parts = text.split("/");
  for (const part of parts) {
    if (part === "") return "the name has an empty part (two slashes in a row)";
    if (part === "." || part === "..") return `the name has a part "${part}"`;
    if (part.length * 3 > MAX_PART_BYTES && utf8.encode(part).length > MAX_PART_BYTES) {
      return `a part of the name is longer than ${MAX_PART_BYTES} bytes`;
    }
    if (isStagingName(part)) return `"${STAGING_DIRECTORY}" is reserved for ferry's own files`;
  }
  // Case is folded because some file systems do.
  if (parts[0]?.toLowerCase() === RESERVED_DIRECTORY) {
    return `"${RESERVED_DIRECTORY}" is reserved for ferry's own files`;
  }
  return undefined;
}
