/**
 * Keeps a local file under a second name, with the first one staying.
 *
 * @module
 */

import { dirname } from "../../lib/core/paths.ts";
import { infoAt, isTaken } from "../../lib/files/path_lookup.ts";
import { renameWithoutReplacing } from "../../lib/files/renaming.ts";
import { TEMPORARY_PREFIX } from "./partial_downloads.ts";

/**
 * Gives a file a second name: by a hard link or, where there are none, by a copy. Nobody sees a part of a file under it.
 *
 * @throws what the runtime throws; `Deno.errors.AlreadyExists` if the name is taken
 */
export async function keepCopy(from: string, to: string): Promise<void> {
  const link = infoAt(from);
  if (link?.isSymlink) return Deno.symlinkSync(Deno.readLinkSync(from), to);
  try {
    return Deno.linkSync(from, to);
  } catch (error) {
    const { AlreadyExists, NotFound } = Deno.errors;
    if (error instanceof AlreadyExists || error instanceof NotFound) throw error;
  }
  // Another one would be found only when the whole file has been copied.
  if (isTaken(to)) throw new Deno.errors.AlreadyExists();
  await copy(from, to);
}

/** Copies a file under a temporary name, which it loses when all of it is there. */
async function copy(from: string, to: string): Promise<void> {
  const temporary = `${dirname(to)}/${TEMPORARY_PREFIX}${crypto.randomUUID()}.part`;
  using source = Deno.openSync(from, { read: true });
  using target = Deno.openSync(temporary, { write: true, createNew: true, mode: 0o600 });
  try {
    const buffer = new Uint8Array(1024 * 1024);
    for (let count; (count = await source.read(buffer)) !== null;) {
      for (let at = 0; at < count;) at += target.writeSync(buffer.subarray(at, count));
    }
    const { mode, mtime } = source.statSync();
    if (mtime) target.utimeSync(mtime, mtime);
    await target.sync();
    if (mode !== null) Deno.chmodSync(temporary, mode & 0o777);
    renameWithoutReplacing(temporary, to);
  } catch (error) {
    Deno.removeSync(temporary);
    throw error;
  }
}
