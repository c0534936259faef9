/**
 * Makes the names in directories survive a loss of power.
 *
 * @module
 */

import { fileError } from "../core/errors.ts";
import { PLATFORM } from "../core/platform.ts";
import { isUnsupported } from "./file_errors.ts";

/**
 * Makes the names in a directory survive a loss of power, where its file system flushes directories at all.
 *
 * @throws {FerryError} `io`, `no_space`, …
 */
export async function syncDirectory(path: string): Promise<void> {
  if (!PLATFORM.flushesDirectories) return;
  try {
    using directory = await Deno.open(path, { read: true });
    await directory.sync();
  } catch (error) {
    const failure = fileError(error);
    if (failure.code === "denied") await syncByFile(path);
    else if (!isUnsupported(error)) throw failure;
  }
}

/**
 * The same for a directory that may be written and not read, so that it cannot be flushed itself: a new file in it is
 * flushed. File systems with one journal write all that was done before along with that.
 */
async function syncByFile(path: string): Promise<void> {
  const name = Deno.makeTempFileSync({ dir: path, prefix: ".ferry-", suffix: ".flush" });
  try {
    using file = await Deno.open(name, { write: true });
    await file.sync();
  } catch (error) {
    throw fileError(error);
  } finally {
    Deno.removeSync(name);
  }
}

/** A directory whose entries have changed. */
export interface ChangedDirectory {
  /** What tells it from other directories. */
  readonly identity: string;
  /** Makes the names in it survive a loss of power. */
  sync(): Promise<void>;
}

/** The directory at a path. */
export function directoryAt(path: string): ChangedDirectory {
  return { identity: path, sync: () => syncDirectory(path) };
}

/**
 * Flushes directories side by side, each once, and is done with each of them even where one fails.
 *
 * @throws what one of them failed with
 */
export async function syncDirectories(directories: Iterable<ChangedDirectory>): Promise<void> {
  const each = new Map(Array.from(directories, (directory) => [directory.identity, directory]));
  const flushes = await Promise.allSettled(Array.from(each.values(), (each) => each.sync()));
  for (const flush of flushes) if (flush.status === "rejected") throw flush.reason;
}
