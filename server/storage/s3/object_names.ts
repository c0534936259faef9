/**
 * The keys of files and directories. The file `a/b` is the object with the key `a/b`. An explicit directory `a` is the
 * empty object with the key `a/`, its marker; a directory also exists where something is below it.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import { type FileName, parseFileName, RESERVED_DIRECTORY } from "../../../lib/core/remote_name.ts";

/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;

/** Keys that begin with this are ferry's own. */
export const RESERVED_PREFIX: string = `${RESERVED_DIRECTORY}/`;

const utf8 = new TextEncoder();

/** The length of a text in bytes of UTF-8. */
export function bytesOf(text: string): number {
  return utf8.encode(text).length;
}

/** The SHA-256 of a text, as 64 hexadecimal digits: it stands for the text in keys of ferry's own. */
export async function hashOf(text: string): Promise<string> {
  return encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(text))));
}

/**
 * The key that all keys of a directory's contents begin with, which is also that of its marker; "" for the root.
 *
 * @param name "" is the root
 */
export function prefixOf(name: FileName | ""): string {
  return name === "" ? "" : `${name}/`;
}

/**
 * Validates the name of a file, which may be one of the server itself.
 *
 * @throws {FerryError} `bad_name`, with what is wrong with it
 */
export function parseOwnName(text: string): FileName {
  parseFileName(text.startsWith(RESERVED_PREFIX) ? text.slice(RESERVED_PREFIX.length) : text);
  return text as FileName;
}

/** A key after all keys that begin with `prefix`, and before all others that come after those. */
export function endOf(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

/** Whether a name has at most so many bytes of UTF-8. */
export function fits(name: string, most: number): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8.
  return name.length * 3 <= most || bytesOf(name) <= most;
}
