/**
 * Keeps a local file under a second name, with the first one staying.
 *
 * @module
 */

import { infoAt } from "../../lib/files/path_lookup.ts";

/**
 * Gives a file a second name: by a hard link or, where there are none, by a copy.
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
  await copy(from, to);
}

async function copy(from: string, to: string): Promise<void> {
  using source = Deno.openSync(from, { read: true });
  using target = Deno.openSync(to, { write: true, createNew: true, mode: 0o600 });
  try {
    const buffer = new Uint8Array(1024 * 1024);
    for (let count; (count = await source.read(buffer)) !== null;) {
      for (let at = 0; at < count;) at += target.writeSync(buffer.subarray(at, count));
    }
    const { mode, mtime } = source.statSync();
    if (mtime) target.utimeSync(mtime, mtime);
    await target.sync();
    if (mode !== null) Deno.chmodSync(to, mode & 0o777);
  } catch (error) {
    Deno.removeSync(to);
    throw error;
  }
}
