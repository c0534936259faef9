/**
 * The modification time and the permission bits of a file that is being stored.
 *
 * @module
 */

import type { Unkept } from "../core/entry.ts";
import { FerryError, fileError } from "../core/errors.ts";
import { PLATFORM } from "../core/platform.ts";
import { isUnsupported } from "./file_errors.ts";

/** What a file is to have beside its content. */
export interface FileAttributes {
  /** The modification time in milliseconds since 1970. Default: that of the last write. */
  mtime?: number | undefined;
  /** The permission bits, 0 to 0o777. Default: those that the file was created for. */
  mode?: number | undefined;
  /** Whether somebody asked for them, so that to store the file without them is an error. Default: false. */
  explicit?: boolean | undefined;
  /** Whether the file is looked at for what is kept of the time, also where it is not explicit. Default: false. */
  look?: boolean | undefined;
}

/** An open file whose attributes can be set. Where a function is missing, its path is used. */
export interface SettableFile {
  /** Sets the permission bits. */
  chmodSync?(mode: number): void;
  /** Sets the times of the last read and the last write. */
  utimeSync?(atime: Date, mtime: Date): void;
}

/**
 * Sets the modification time and the permission bits, where given. A file system may refuse both, or take them and
 * not keep them.
 *
 * @returns what was refused, and where the file is looked at what else is not kept
 * @throws {FerryError} `io` where what was explicitly asked for is not kept
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

/** Whether a file system lets something be set. */
function isAllowed(set: () => void): boolean {
  try {
    set();
    return true;
  } catch (error) {
    if (isUnsupported(error) || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

/** The coarsest step in which file systems keep times, in milliseconds: that of FAT. */
const COARSEST_STEP = 2000;

/** What is lost of a time of which another one was kept; both in milliseconds. */
function lossOf(time: number, kept: number | undefined): Unkept[] {
  // The runtime may read a time back that is a millisecond early.
  const lost = Math.abs(time - (kept ?? Infinity));
  if (lost <= 1) return [];
  return [lost < COARSEST_STEP ? "mtime_fraction" : "mtime"];
}
