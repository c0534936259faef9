/**
 * Names of files on a server. A {@linkcode FileName} is relative to the server's root, its components are separated by
 * `/`, and it cannot lead out of the root or into directories that are reserved for ferry.
 *
 * @module
 */

import { FerryError } from "./errors.ts";
import { PLATFORM, type Platform } from "./platform.ts";

/** A name that passed {@linkcode parseFileName}; the brand exists for the type checker only. */
export type FileName = string & { readonly brand: "FileName" };

/** The directory in a root that is reserved for ferry. No name leads to it. */
export const RESERVED_DIRECTORY = ".ferry";

/** The directory in a root with the sockets by which the servers of the root can be asked, one of each process. */
export const SOCKETS_DIRECTORY = `${RESERVED_DIRECTORY}/sockets`;

/**
 * The prefix of the names of directories that are reserved for ferry on other file systems below a root. No name leads
 * to one, in any directory.
 */
export const STAGING_DIRECTORY = ".ferry-staging";

/** Whether a part of a name is reserved for ferry in every directory. */
export function isStagingName(part: string): boolean {
  // Case is ignored because some file systems ignore it.
  return part.startsWith(".") && part.toLowerCase().startsWith(STAGING_DIRECTORY);
}

/**
 * Whether a name is that of a file that was removed while a program had it open. FUSE file systems (libfuse) keep such
 * a file under a name of this form until it is closed, and rename it if it is removed again.
 */
export function isRemovedName(part: string): boolean {
  return /^\.fuse_hidden[0-9a-f]{16}$/.test(part);
}

/** The maximum length of a name, in bytes of UTF-8: Linux's PATH_MAX minus room for the path of the root. */
export const MAX_NAME_BYTES = 3072;

/** The maximum length of a component of a name, in bytes of UTF-8 (NAME_MAX). */
export const MAX_PART_BYTES = 255;

/** Deno replaces bytes in a name that are not UTF-8 by this character, and then finds no file by that name. */
const REPLACEMENT = "\ufffd";

const utf8 = new TextEncoder();

/** Whether a name read from a directory may not be UTF-8. To be used if no file is found by that name. */
export function mayBeNoText(name: string): boolean {
  return name.includes(REPLACEMENT);
}

/** The error for a file whose name is not UTF-8. */
export function notText(): FerryError {
  return new FerryError("bad_name", "its name is not UTF-8");
}

/**
 * Validates the name of a file.
 *
 * @throws {FerryError} `bad_name`, with what is wrong with it
 */
export function parseFileName(text: string): FileName {
  const bad = flaw(text);
  if (bad !== undefined) throw new FerryError("bad_name", bad);
  return text as FileName;
}

/**
 * Validates the name of a directory. The empty name is that of the root.
 *
 * @throws {FerryError} `bad_name`, with what is wrong with it
 */
export function parseDirectoryName(text: string): FileName | "" {
  return text === "" ? "" : parseFileName(text);
}

/**
 * Checks that an operating system can store a file under a name without changing the name.
 *
 * @throws {FerryError} `bad_name`, with what is wrong with it
 */
export function assertStorable(name: FileName, { flawOf }: Platform = PLATFORM): void {
  for (const part of name.split("/")) {
    const bad = flawOf(part);
    if (bad !== undefined) throw new FerryError("bad_name", bad);
  }
}

/** The name of an entry of a directory, which may be the root, "". */
export function joinName(directory: FileName | "", part: string): FileName {
  return (directory === "" ? part : `${directory}/${part}`) as FileName;
}

/**
 * A key that is equal for two names that some file system treats as the same name, because it ignores case or Unicode
 * normalization.
 */
export function foldName(name: string): string {
  // Letters with several lower-case forms, or none, have one upper-case form.
  return name.toUpperCase().toLowerCase().normalize("NFC");
}

/** Whether a name is longer than {@linkcode MAX_NAME_BYTES}. */
export function isTooLong(name: string): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8, so most names need no encoding to be measured.
  return name.length * 3 > MAX_NAME_BYTES && utf8.encode(name).length > MAX_NAME_BYTES;
}

/** The name of the directory that has an entry; "" is the root. */
export function parentName(name: FileName): FileName | "";
/** The same for any text with slashes between its parts. */
export function parentName(name: string): string;
export function parentName(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
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
  // Case is ignored because some file systems ignore it.
  if (parts[0]?.toLowerCase() === RESERVED_DIRECTORY) {
    return `"${RESERVED_DIRECTORY}" is reserved for ferry's own files`;
  }
  return undefined;
}
