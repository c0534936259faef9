/**
 * Interprets file system errors for which the error alone is not enough.
 *
 * @module
 */

import { FerryError, fileError, quote, systemCodeOf } from "../core/errors.ts";
import { basename, dirname } from "../core/paths.ts";
import { infoAt } from "./path_lookup.ts";

/**
 * The reason why an existing or new file cannot get a name. If a file system does not allow the name (for example one
 * with a colon on Windows), it reports an invalid argument, or that the file does not exist. The latter is also reported
 * for every name in a directory that was removed while it is held open, through which it still seems to be there.
 */
export function namingError(error: unknown, path: string): FerryError {
  const code = systemCodeOf(error);
  const refused = code === "EINVAL" || code === "EILSEQ" ||
    code === "ENOENT" && takesEntries(dirname(path)) && !infoAt(path);
  if (!refused) return fileError(error);
  const name = quote(basename(path));
  return new FerryError("bad_name", `the file system takes no such name as ${name}`, {
    cause: error,
  });
}

/** Whether a path leads to a directory that was not removed. Where links are not counted, it is taken not to be. */
function takesEntries(path: string): boolean {
  try {
    const { isDirectory, nlink } = Deno.statSync(path);
    return isDirectory && nlink !== 0;
  } catch {
    return false;
  }
}

/** Whether a rename failed because the new name is on another file system. */
export function isCrossDevice(error: unknown): boolean {
  const { cause = error } = error as { cause?: unknown };
  return systemCodeOf(cause) === "EXDEV";
}

/**
 * Whether a file system refuses a call because it does not support it at all. For example, SMB and some FUSE file
 * systems do not flush directories.
 */
export function isUnsupported(error: unknown): boolean {
  // EINVAL, ENOSYS and EOPNOTSUPP of Linux, the last also of macOS and the BSDs; the runtime does not have an error
  // class for each of them.
  return error instanceof Error && /\(os error (22|38|45|95|102)\)/.test(error.message);
}
