/**
 * Looks up what is at a path.
 *
 * @module
 */

/**
 * The attributes of the entry at a path, without following links; undefined if it does not exist or cannot be looked
 * up.
 */
export function infoAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Whether anything exists at a path, including a dangling link.
 *
 * @throws the runtime's error if that cannot be determined
 */
export function isTaken(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether a path leads to a directory. A dangling link does not. */
export function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** Whether a file has several hard links, as far as the system reports it. */
export function hasOtherNames({ nlink }: Deno.FileInfo): boolean {
  return (nlink ?? 1) > 1;
}
