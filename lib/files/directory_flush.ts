/**
 * Flushes directories, so that the names in them survive a power failure.
 *
 * @module
 */

import { fileError } from "../core/errors.ts";
import { PLATFORM } from "../core/platform.ts";
import { isUnsupported } from "./file_errors.ts";

/**
 * Flushes a directory, so that the names in it survive a power failure, if its file system supports that.
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
 * Like {@linkcode syncDirectory}, and blocks until it is done: for a directory of the program itself, at its start.
 *
 * @throws what the runtime throws
 */
export function syncDirectoryNow(path: string): void {
  if (!PLATFORM.flushesDirectories) return;
  try {
    using directory = Deno.openSync(path, { read: true });
    directory.syncSync();
  } catch (error) {
    if (!isUnsupported(error)) throw error;
  }
}

/**
 * Like {@linkcode syncDirectory}, for a directory that may be written but not read, so that it cannot be opened to be
 * flushed. Flushes a new file in it instead: file systems with a journal write all earlier changes along with that.
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
  /** An id that distinguishes it from other directories. */
  readonly identity: string;
  /** Flushes it, so that the names in it survive a power failure. */
  sync(): Promise<void>;
}

/** The directory at a path. */
export function directoryAt(path: string): ChangedDirectory {
  return { identity: path, sync: () => syncDirectory(path) };
}

/**
 * Flushes directories concurrently, each once. Settles when all are done, even if one fails.
 *
 * @throws the error of one that failed
 */
export async function syncDirectories(directories: Iterable<ChangedDirectory>): Promise<void> {
  const each = new Map(Array.from(directories, (directory) => [directory.identity, directory]));
  const flushes = await Promise.allSettled(Array.from(each.values(), (each) => each.sync()));
  for (const flush of flushes) if (flush.status === "rejected") throw flush.reason;
}

/**
 * Flushes directories for many changes at a time: those that come while directories are being flushed wait for the next
 * flush, and share it.
 */
export class DirectoryFlushes {
  #waiting: { directories: readonly ChangedDirectory[]; settled: PromiseWithResolvers<void> }[] =
    [];
  #running = false;

  /**
   * Flushes directories after they were changed.
   *
   * @throws the error of one that failed
   */
  sync(directories: readonly ChangedDirectory[]): Promise<void> {
    const settled = Promise.withResolvers<void>();
    this.#waiting.push({ directories, settled });
    if (!this.#running) void this.#run();
    return settled.promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      const once = flushedOnce();
      for (const { directories, settled } of group) {
        settled.resolve(syncDirectories(directories.map(once)));
      }
      await Promise.allSettled(group.map(({ settled }) => settled.promise));
    }
    this.#running = false;
  }
}

/**
 * Wraps directories so that each is flushed once, and all who name it get the result of that. A flush that failed must
 * not be repeated: the operating system need not report the error a second time, although what it is about is lost.
 */
function flushedOnce(): (directory: ChangedDirectory) => ChangedDirectory {
  const flushes = new Map<string, Promise<void>>();
  return (directory) => {
    const { identity } = directory;
    const sync = () => {
      const flush = flushes.get(identity) ?? directory.sync();
      flushes.set(identity, flush);
      return flush;
    };
    return { identity, sync };
  };
}
