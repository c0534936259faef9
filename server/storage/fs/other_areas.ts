/**
 * The staging areas of the other processes that serve a root together with this one, as far as this one uses them: it
 * shows their partial uploads, and takes over those that a client goes on with here.
 *
 * A file in an area is locked while it is written to. Whoever takes one over that is not locked moves it into its own
 * area. One that is locked but whose writer has stalled is copied, so that what its writer may still write does no harm,
 * and then removed: its writer fails at its next checkpoint, or when it is to be published.
 *
 * @module
 */

import { sleep } from "../../../lib/core/clock.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { tryLock } from "../../../lib/files/file_lock.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import {
  movePart,
  readRecord,
  removeRecord,
  writeRecord,
} from "../../../lib/files/partial_file.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { Directory } from "./open_directory.ts";
import type { Partial } from "./staged_upload.ts";

/** A writer that has written nothing for this long, in milliseconds, has stalled, as in `server/files/upload_locks.ts`. */
const STALLED_MS = 2000;

/** The interval at which a file is looked at to see whether its writer has stalled, in milliseconds. */
const LOOK_MS = 100;

/** How much of a file is copied at once, in bytes. */
const COPY_BYTES = 1024 * 1024;

/** Options of {@linkcode OtherAreas}. */
export interface OtherAreasOptions {
  /** Opens the directory that contains the areas of all processes. The caller disposes of it. */
  enter(): Directory;
  /** Whether an entry of that directory is the area of another process. */
  isOther(name: string): boolean;
  /** Provides buffers and the clock. */
  runtime: Runtime;
}

/** The areas of other processes on one file system, also of those that have ended. */
export class OtherAreas {
  readonly #options: OtherAreasOptions;

  /** Nothing is opened before it is needed. */
  constructor(options: OtherAreasOptions) {
    this.#options = options;
  }

  /** The partial uploads in them by their file names. One that is locked counts as open. */
  list(): Map<string, Partial> {
    const found = new Map<string, Partial>();
    for (const directory of this.#directories()) {
      for (const { name } of [...Deno.readDirSync(directory.path)]) {
        const partial = name.endsWith(".part") ? partialAt(directory.at(name)) : undefined;
        if (partial) found.set(name, partial);
      }
    }
    return found;
  }

  /** The partial upload with that file name; undefined if there is none. */
  find(file: string): Partial | undefined {
    for (const directory of this.#directories()) {
      const partial = partialAt(directory.at(file));
      if (partial) return partial;
    }
    return undefined;
  }

  /** Moves a partial upload that has no writer into a directory. Returns whether it is there now. */
  takeIdle(file: string, into: Directory): boolean {
    for (const directory of this.#directories()) {
      const path = directory.at(file);
      try {
        using opened = openExactly(path, { read: true, write: true });
        if (!tryLock(opened)) return false;
        movePart(path, into.path);
        removeRecord(path);
        return infoAt(into.at(file)) !== undefined;
      } catch (error) {
        // Another process may have taken it over at the same time.
        if (!(error instanceof Deno.errors.NotFound)) throw fileError(error);
      }
    }
    return false;
  }

  /**
   * Takes a partial upload over into a directory, from a writer only if that has stalled, which takes two seconds to find
   * out. Returns whether it is there now.
   *
   * @throws {FerryError} `no_space`, `io`, … if it cannot be copied
   */
  async take(file: string, into: Directory): Promise<boolean> {
    const { clock } = this.#options.runtime;
    const until = clock.monotonic() + STALLED_MS;
    const before = this.#stateOf(file);
    while (!this.takeIdle(file, into)) {
      const now = this.#stateOf(file);
      if (now === undefined || now !== before) return false;
      if (clock.monotonic() >= until) return await this.#copy(file, into);
      await sleep(clock, LOOK_MS);
    }
    return true;
  }

  /** What a write to a file changes; undefined if it is gone. */
  #stateOf(file: string): string | undefined {
    for (const directory of this.#directories()) {
      const info = infoAt(directory.at(file));
      if (info) return `${info.size} ${info.mtime?.getTime()}`;
    }
    return undefined;
  }

  async #copy(file: string, into: Directory): Promise<boolean> {
    for (const directory of this.#directories()) {
      const path = directory.at(file);
      const record = readRecord(path);
      if (!record) continue;
      const { runtime } = this.#options;
      await using copy = StagedFile.of(into.createFile(".part"), runtime);
      using lent = runtime.buffers.lend(COPY_BYTES);
      using source = openExactly(path, { read: true });
      for (let left = record.prefix.size; left > 0;) {
        const count = await source.read(lent.bytes.subarray(0, Math.min(left, lent.bytes.length)));
        if (count === null) throw new FerryError("io", "the received part of it is shorter");
        await copy.write(lent.bytes.subarray(0, count));
        left -= count;
      }
      // Its writer may have published or removed it meanwhile.
      if (!readRecord(path)) return false;
      Deno.renameSync(copy.path, into.at(file));
      copy.keep();
      writeRecord(into.at(file), { ...record, pieces: undefined }, { exactly: true });
      removeRecord(path);
      Deno.removeSync(path);
      return true;
    }
    return false;
  }

  /** The areas, each held open until the next one is asked for. */
  *#directories(): Generator<Directory> {
    using all = this.#options.enter();
    for (const { name, isDirectory } of [...Deno.readDirSync(all.path)]) {
      if (!isDirectory || !this.#options.isOther(name)) continue;
      const info = infoAt(all.at(name));
      using directory = info?.isDirectory ? all.enter(name, info) : undefined;
      if (directory) yield directory;
    }
  }
}

/** A partial upload; undefined if there is no valid one at a path. */
function partialAt(path: string): Partial | undefined {
  const record = readRecord(path);
  const mtime = record && infoAt(path)?.mtime?.getTime();
  return record && mtime !== undefined ? { record, mtime, open: isLocked(path) } : undefined;
}

function isLocked(path: string): boolean {
  try {
    using file = openExactly(path, { read: true });
    return !tryLock(file, { shared: true });
  } catch {
    // It was just moved or removed.
    return false;
  }
}
