/**
 * The permission bits of files.
 *
 * @module
 */

import { fileError } from "../core/errors.ts";
import { dirname } from "../core/paths.ts";
import { PLATFORM } from "../core/platform.ts";

/** The permission bits of a file that only its owner can read or write. */
export const PRIVATE_BITS = 0o600;

/** The permission bits in file attributes; undefined if the system has none. */
export function bitsOf({ mode }: Pick<Deno.FileInfo, "mode">): number | undefined {
  return mode === null ? undefined : mode & 0o777;
}

/** The permission bits of the file that a path leads to; undefined if it leads to no file. */
export function modeAt(path: string): number | undefined {
  try {
    const info = Deno.statSync(path);
    return info.isFile ? bitsOf(info) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The permission bits of a new file: those that the system gives to a new directory (subject to the umask), without the
 * search bits.
 *
 * @throws {FerryError} `denied`, `no_space`, …
 */
export function modeOfNewFiles(directory: string): number {
  const path = `${directory}/.${crypto.randomUUID()}`;
  try {
    Deno.mkdirSync(path);
    const mode = (Deno.lstatSync(path).mode ?? 0o644) & 0o666;
    Deno.removeSync(path);
    return mode;
  } catch (error) {
    throw fileError(error);
  }
}

/** The options for creating a file that gets its final permission bits when it is published. */
export function privately(mode: number | undefined): Deno.OpenOptions {
  return mode === undefined ? {} : { mode: PRIVATE_BITS };
}

/**
 * The permission bits with which an existing partial file is published. It may have been created for a file with other
 * bits. If `mode` is given, other users lose access to the file until it is published. If not, a file that only its
 * owner can read gets the bits of a new file.
 *
 * @param mode the bits with which it is to be published; undefined for those of a new file
 * @returns undefined if its present bits are right, or the system has none
 */
export function publishedBits(
  path: string,
  info: Deno.FileInfo,
  mode: number | undefined,
): number | undefined {
  if (info.mode === null || !PLATFORM.permissionBits) return undefined;
  const isPrivate = (info.mode & 0o077) === 0;
  if (mode === undefined) return isPrivate ? modeOfNewFiles(dirname(path)) : undefined;
  if (!isPrivate) {
    try {
      Deno.chmodSync(path, PRIVATE_BITS);
    } catch {
      // The file system has no permission bits of its own.
    }
  }
  return mode;
}
