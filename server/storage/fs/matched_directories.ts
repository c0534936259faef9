/**
 * Gives the directories of a staged tree what those that they replace have: permission bits and owners.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";
import { type FileName, joinName } from "../../../lib/core/remote_name.ts";
import { Pace } from "../../../lib/core/time_slices.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import type { Place } from "./name_walk.ts";
import type { Directory } from "./open_directory.ts";
import { pathIn } from "./tree_contents.ts";

/**
 * Gives each directory of a tree the permission bits and, if the process may do that, the owner of the directory that it
 * will replace.
 *
 * @param place the directory that the tree replaces
 * @param top the tree
 * @throws {FerryError} `denied` if another file system is mounted there or below: it would be moved away with the
 * directory
 */
export async function matchDirectories(place: Place, top: Directory): Promise<void> {
  const { directory, name, info } = place;
  const pace = new Pace();
  const match = async (above: Directory, name: string, info: Deno.FileInfo, inside: string) => {
    if (info.dev !== directory.device) {
      throw isMounted();
    }
    const made = inside === "" ? Deno.statSync(top.path) : infoAt(top.at(inside));
    if (made?.isDirectory) giveAttributes(pathIn(top, inside), made, info);
    using entered = above.enter(name, info);
    if (!entered) return;
    for (const child of [...Deno.readDirSync(entered.path)]) {
      if (pace.isDue) await pace.rest();
      if (!child.isDirectory) continue;
      const below = infoAt(entered.at(child.name));
      if (!below?.isDirectory) continue;
      await match(entered, child.name, below, joinName(inside as FileName | "", child.name));
    }
  };
  await match(directory, name, info, "");
}

/** The error for a directory that cannot be replaced, since a file system is mounted there or below. */
export function isMounted(): FerryError {
  return new FerryError("denied", "a file system is mounted there, which cannot be replaced");
}

function giveAttributes(path: string, made: Deno.FileInfo, like: Deno.FileInfo): void {
  if (!PLATFORM.permissionBits) return;
  try {
    if (made.uid !== like.uid || made.gid !== like.gid) Deno.chownSync(path, like.uid, like.gid);
  } catch {
    // In that case it belongs to this process's user, as any new directory does.
  }
  const bits = (like.mode ?? 0) & 0o7777;
  if (like.mode !== null && ((made.mode ?? 0) & 0o7777) !== bits) Deno.chmodSync(path, bits);
}
