/**
 * Gives a file another name without replacing the file that has it.
 *
 * @module
 */

import { isTaken } from "./path_lookup.ts";

/**
 * Renames a file unless the new name is taken, in one step where the file system has hard links.
 *
 * @throws what the runtime throws; `Deno.errors.AlreadyExists` where the name is taken
 */
export function renameWithoutReplacing(from: string, to: string): void {
  try {
    Deno.linkSync(from, to);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotFound) {
      throw error;
    }
    // FAT and some network file systems have no hard links: look, then rename. Two writers at the same instant may
    // both see a free name there, and the later one wins.
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
