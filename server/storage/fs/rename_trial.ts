/**
 * Finds out by trial whether two directories are on one file system.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { fileSystemAt } from "../../../lib/file_system/file_system.ts";
import { isCrossDevice } from "../../../lib/files/file_errors.ts";
import { STAGING_DIRECTORY } from "../../../lib/core/remote_name.ts";

/**
 * Whether a file can be renamed from one directory into another. Device numbers do not show that: the same file system
 * may be mounted twice, and union file systems show several as one.
 */
export function canRename(from: Directory, to: Directory): boolean {
  if (from.device !== to.device) return false;
  const name = `${STAGING_DIRECTORY}-${crypto.randomUUID()}`;
  // Between two mounts the system refuses before it looks for the file, so the file need not exist. A union file system
  // has to be tried with a file that exists.
  const trial = fileSystemAt(from.path).numbersFiles ? undefined : from.createFile(name);
  trial?.file.close();
  try {
    Deno.renameSync(trial?.path ?? from.at(name), to.at(name));
    Deno.removeSync(to.at(name));
    return true;
  } catch (error) {
    if (trial) Deno.removeSync(trial.path);
    return !isCrossDevice(error);
  }
}
