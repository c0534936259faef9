/**
 * The permission bits of files.
 *
 * @module
 */

import { fileError } from "../core/errors.ts";
import { dirname } from "../core/paths.ts";
import { PLATFORM } from "../core/platform.ts";

/** The bits of a file that only its user can read or write. */
export const PRIVATE_BITS = 0o600;

/** The permission bits of what was looked at; undefined where the system has none. */
export function bitsOf({ mode }: Pick<Deno.FileInfo, "mode">): number | undefined {
  return mode === null ? undefined : mode & 0o777;
}

/** The permission bits of the file that a path leads to; undefined where it leads to none. */
export function modeAt(path: string): number | undefined {
  try {
    const info = Deno.statSync(path);
    return info.isFile ? bitsOf(info) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The permission bits of a new file: what the system gives to a new directory, without those to search it.
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

/** How a file is created that gets its permission bits when it is published. */
export function privately(mode: number | undefined): Deno.OpenOptions {
  return mode === undefined ? {} : { mode: PRIVATE_BITS };
}

/**
 * The permission bits that a file is published with which was there before. It may be left of a file that was to get
 * other bits: where it is to be private, others lose it; where it is not, it gets what a new file has.
 *
 * @param mode the bits that it is to be published with; undefined for those of a new file
 * @returns undefined where those that it has are right, or the system has none
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
