/**
 * Renames a file without replacing an existing one.
 *
 * @module
 */

import { isTaken } from "./path_lookup.ts";

/**
 * Renames a file unless the new name is taken. This is atomic if the file system has hard links.
 *
 * @throws what the runtime throws; `Deno.errors.AlreadyExists` if the name is taken
 */
export function renameWithoutReplacing(from: string, to: string): void {
  try {
    Deno.linkSync(from, to);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotFound) {
      throw error;
    }
    // FAT and some network file systems have no hard links: check, then rename. Two writers at the same instant may
    // both find the name free, and the later one wins.
    if (isTaken(to)) throw new Deno.errors.AlreadyExists();
    Deno.renameSync(from, to);
    return;
  }
  try {
    Deno.removeSync(from);
  } catch (error) {
    // Another program has removed it.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
