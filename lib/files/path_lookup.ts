/**
 * What stands at a path.
 *
 * @module
 */

/** What stands at a path, links not followed; undefined where nothing does, or it cannot be told. */
export function infoAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Whether anything stands at a path, a link to nowhere included.
 *
 * @throws what the runtime throws where that cannot be told
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

/** Whether a path leads to a directory; a link to nowhere does not. */
export function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** Whether a file has more than one name, where the system tells. */
export function hasOtherNames({ nlink }: Deno.FileInfo): boolean {
  return (nlink ?? 1) > 1;
}
