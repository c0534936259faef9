/**
 * The modification time and the permission bits of a file that is being stored.
 *
 * @module
 */

import type { Unkept } from "../core/entry.ts";
import { FerryError, fileError } from "../core/errors.ts";
import { PLATFORM } from "../core/platform.ts";
import { isUnsupported } from "./file_errors.ts";

/** The attributes that a file should get. */
export interface FileAttributes {
  /** The modification time in milliseconds since 1970. Default: the time of the last write. */
  mtime?: number | undefined;
  /** The permission bits, 0 to 0o777. Default: those that the file was created for. */
  mode?: number | undefined;
  /** Whether they were requested explicitly, so that storing the file without them is an error. Default: false. */
  explicit?: boolean | undefined;
  /** Whether to check how exactly the time was stored even if `explicit` is false. Default: false. */
  look?: boolean | undefined;
}

/** An open file whose attributes can be set. If a function is missing, the attribute is set by the path. */
export interface SettableFile {
  /** Sets the permission bits. */
  chmodSync?(mode: number): void;
  /** Sets the access time and the modification time. */
  utimeSync?(atime: Date, mtime: Date): void;
}

/**
 * Sets the modification time and the permission bits, if given. A file system may refuse them, or accept them without
 * storing them.
 *
 * @returns the attributes that were refused and, if the file is checked, those that were not stored
 * @throws {FerryError} `io` if an explicitly requested attribute is not stored
 */
export function setAttributes(
  path: string,
  file: SettableFile,
  { mtime, mode, explicit = false, look = false }: FileAttributes,
): Unkept[] {
  const bits = PLATFORM.permissionBits ? mode : undefined;
  const unkept: Unkept[] = [];
  try {
    if (bits !== undefined && !isAllowed(() => setMode(path, file, bits))) unkept.push("mode");
    if (mtime !== undefined && !isAllowed(() => setTime(path, file, mtime))) unkept.push("mtime");
    if (explicit || look) {
      const kept = Deno.lstatSync(path);
      if (explicit && bits !== undefined && (kept.mode! & 0o777) !== bits) unkept.push("mode");
      if (mtime !== undefined) unkept.push(...lossOf(mtime, kept.mtime?.getTime()));
    }
  } catch (error) {
    throw fileError(error);
  }
  const missed = unkept.find((kind) => kind !== "mtime_fraction");
  if (!explicit || missed === undefined) return [...new Set(unkept)];
  const what = missed === "mode" ? "permission bits" : "modification time";
  throw new FerryError("io", `the file system does not keep its ${what}`);
}

function setMode(path: string, file: SettableFile, bits: number): void {
  if (file.chmodSync) file.chmodSync(bits);
  else Deno.chmodSync(path, bits);
}

function setTime(path: string, file: SettableFile, mtime: number): void {
  const time = new Date(mtime);
  if (file.utimeSync) file.utimeSync(time, time);
  else Deno.utimeSync(path, time, time);
}

/** Whether the file system allows an attribute to be set. */
function isAllowed(set: () => void): boolean {
  try {
    set();
    return true;
  } catch (error) {
    if (isUnsupported(error) || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

/** The coarsest timestamp resolution of a file system, in milliseconds: that of FAT. */
const COARSEST_STEP = 2000;

/** Describes what was lost of a time if another one was stored; both in milliseconds. */
function lossOf(time: number, kept: number | undefined): Unkept[] {
  // The runtime may return a time that is a millisecond early.
  const lost = Math.abs(time - (kept ?? Infinity));
  if (lost <= 1) return [];
  return [lost < COARSEST_STEP ? "mtime_fraction" : "mtime"];
}
