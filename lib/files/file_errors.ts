/**
 * What errors of file systems mean, where that takes more than the error.
 *
 * @module
 */

import { FerryError, fileError, quote, systemCodeOf } from "../core/errors.ts";
import { basename, dirname } from "../core/paths.ts";
import { infoAt, isDirectory } from "./path_lookup.ts";

/**
 * Why something that is there, or is made, cannot get a name. File systems that take no such name (one with a colon,
 * say, as those of Windows) report that an argument is wrong, or that nothing is there.
 */
export function namingError(error: unknown, path: string): FerryError {
  const code = systemCodeOf(error);
  const refused = code === "EINVAL" || code === "EILSEQ" ||
    code === "ENOENT" && isDirectory(dirname(path)) && !infoAt(path);
  if (!refused) return fileError(error);
  const name = quote(basename(path));
  return new FerryError("bad_name", `the file system takes no such name as ${name}`, {
    cause: error,
  });
}

/** Whether a rename failed because the new name is on another file system. */
export function isCrossDevice(error: unknown): boolean {
  const { cause = error } = error as { cause?: unknown };
  return systemCodeOf(cause) === "EXDEV";
}

/**
 * Whether a file system refuses a call because it does not support it, whatever the call is about: SMB and some file
 * systems in user space flush no directories, for one.
 */
export function isUnsupported(error: unknown): boolean {
  // EINVAL, ENOSYS and EOPNOTSUPP of Linux, the last also of macOS and the BSDs; the runtime names not all of them.
  return error instanceof Error && /\(os error (22|38|45|95|102)\)/.test(error.message);
}
