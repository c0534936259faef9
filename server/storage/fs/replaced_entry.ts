/**
 * Conditions on what has a name in a root. Between the moment at which a condition was met and the change that depends
 * on it, the name may get another file: it is looked at again right before the change.
 *
 * @module
 */

import type { Algorithm } from "../../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { Condition } from "../../../lib/files/commit.ts";
import { identityOf } from "./checksum_cache.ts";
import type { Root } from "./root.ts";
import { attempt, type ServedRoot } from "./served_root.ts";
import { checksumOf, entryOf } from "./stored_file.ts";

/** How often a file is read again that other programs keep changing. */
const TRIES = 5;

/**
 * Shows a condition what has a name.
 *
 * @returns a check to be called right before the change; it fails with `exists` if something else has the name by then
 * @throws what the condition throws
 * @throws {FerryError} `busy` if other programs keep changing the file; the errors of reading it
 */
export async function assertMeets(
  served: ServedRoot,
  root: Root,
  name: FileName,
  { condition, algorithm }: { condition: Condition; algorithm: Algorithm },
): Promise<() => void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const info = await attempt(() => infoOf(root, name));
    const checksum = info?.isFile ? await checksumIn(served, root, name, algorithm) : null;
    if (checksum === undefined || !isSame(info, infoOf(root, name))) continue;
    condition(info && { ...entryOf(served.cache, name, info, algorithm), checksum });
    return () => {
      if (isSame(info, infoOf(root, name))) return;
      throw new FerryError("exists", "the file that has the name was changed meanwhile");
    };
  }
  throw new FerryError("busy", "other programs keep changing it");
}

/** The checksum of a file; undefined if it was removed. */
async function checksumIn(served: ServedRoot, root: Root, name: FileName, algorithm: Algorithm) {
  try {
    return await checksumOf(served, root, name, algorithm);
  } catch (error) {
    if (toFerryError(error).code === "not_found") return undefined;
    throw error;
  }
}

function infoOf(root: Root, name: FileName): Deno.FileInfo | undefined {
  using place = root.look(name);
  return place?.info;
}

function isSame(before: Deno.FileInfo | undefined, now: Deno.FileInfo | undefined): boolean {
  if (!before || !now) return before === now;
  const [one, other] = [identityOf(before), identityOf(now)];
  return one.key === other.key && one.version === other.version;
}
