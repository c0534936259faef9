/**
 * Group commit: files that are published at the same time share the flushes that make them durable.
 *
 * @module
 */

import { fileError } from "../core/errors.ts";
import type { FileName } from "../core/remote_name.ts";
import { type Unkept, unkeptKey } from "../core/entry.ts";
import { makeSure } from "./read_back.ts";
import type { FileAttributes } from "./file_attributes.ts";
import type { StagedFile } from "./staged_file.ts";
import { type ChangedDirectory, syncDirectories } from "./directory_flush.ts";
import { infoAt } from "./path_lookup.ts";
import { isCrossDevice } from "./file_errors.ts";
import type { CommitOptions, Committed } from "./commit.ts";

// Loaded on demand, since a client that publishes nothing does not need it.
const nodeTimers = () => import("node:timers");

/** A staged file, and how it is to be published. */
export interface Publication<Within = unknown>
  extends CommitOptions, Pick<FileAttributes, "explicit" | "look"> {
  /** The name that it will get. */
  name: FileName;
  /** The file. */
  staged: StagedFile;
  /** The root within which the name may lead, for {@linkcode Rooms}. Default: decided by the `rooms`. */
  within?: Within | undefined;
  /** Whether the file is a copy that was made because the original was staged on another file system than its name. */
  broughtOver?: boolean | undefined;
  /** Called right before the file gets its name. If it throws, the file does not get the name. */
  onNaming?(): void;
  /** Called with the path right after the file has got its name. */
  onNamed?(path: string): void;
}

/** The place for a new file: its parent directories exist. */
export interface Room {
  /** Its path. */
  path: string;
  /** The parent directory. */
  directory: ChangedDirectory;
  /** The directories that got a new entry when missing parent directories were created. */
  made: readonly ChangedDirectory[];
}

/** Creates the directories for the files of a group. The paths that it returns are valid until it is disposed of. */
export interface Rooms<Within = unknown> extends Disposable {
  /** Creates the missing parent directories of a name. */
  room(name: FileName, within?: Within): Room;
  /**
   * The permission bits of the file that a name leads to; undefined if there is none. Default: undefined, the bits of a
   * replaced file are not looked up.
   */
  modeOf?(name: FileName, within?: Within): number | undefined;
  /** Fails if the published files are not where their names say, for example because the root was unmounted. */
  assertStanding?(): void;
}

/** Options of a {@linkcode GroupCommit}. */
export interface GroupCommitOptions<Within = unknown> {
  /** Creates the {@linkcode Rooms} of a group; called once for each group. */
  rooms(): Rooms<Within>;
  /** Called with the file that was replaced. */
  onReplaced?(replaced: Deno.FileInfo): void;
  /** Whether acknowledged files survive a power failure. */
  durable: boolean;
  /** Decides the outcome of a publication whose name turned out to be taken. */
  onTaken(publication: Publication<Within>): Promise<Committed>;
  /**
   * Decides the outcome of a publication whose name turned out to be on another file system than its file. Default: it
   * fails.
   */
  onApart?(publication: Publication<Within>): Promise<Committed>;
}

interface Waiting<Within> extends Publication<Within> {
  settled: PromiseWithResolvers<Committed>;
  /** The attributes that could not be kept. */
  unkept?: readonly Unkept[];
}

/**
 * Publishes files in groups: all requests that arrive while one group is flushed form the next one. The files of a
 * group are flushed concurrently, then renamed in the order of the requests, then each changed directory is flushed
 * once, and only then are they acknowledged.
 */
export class GroupCommit<Within = unknown> {
  readonly #options: GroupCommitOptions<Within>;
  #waiting: Waiting<Within>[] = [];
  /** The loop that publishes groups; resolves when no request is left. Undefined while there is none. */
  #running: Promise<void> | undefined;

  /** Creates a publisher without requests. */
  constructor(options: GroupCommitOptions<Within>) {
    this.#options = options;
  }

  /** Publishes a file; see `PendingWrite.commit` for the guarantees. */
  publish(publication: Publication<Within>): Promise<Committed> {
    const settled = Promise.withResolvers<Committed>();
    this.#waiting.push({ ...publication, settled });
    this.#running ??= this.#run();
    return settled.promise;
  }

  /** Resolves when all requested publications have succeeded or failed. */
  async settle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      try {
        // Waits for requests that arrive together, to publish them together: a group costs little more than one file.
        const { setImmediate } = await nodeTimers();
        await new Promise((resolve) => setImmediate(resolve));
        this.#waiting = [];
        await this.#publishGroup(group);
      } catch (error) {
        if (this.#waiting === group) this.#waiting = [];
        // Promises that are already settled are not affected.
        for (const { settled } of group) settled.reject(fileError(error));
      }
    }
    this.#running = undefined;
  }

  async #publishGroup(group: readonly Waiting<Within>[]): Promise<void> {
    const { durable } = this.#options;
    using rooms = this.#options.rooms();
    const flushes = await Promise.allSettled(
      group.map((publication) => this.#flush(publication, rooms)),
    );
    const changed: ChangedDirectory[] = [];
    const published: Waiting<Within>[] = [];
    for (const [turn, waiting] of group.entries()) {
      try {
        const flush = flushes[turn]!;
        if (flush.status === "rejected") throw flush.reason;
        waiting.assertMay?.();
        const room = rooms.room(waiting.name, waiting.within);
        this.#rename(waiting, room, changed);
        published.push(waiting);
      } catch (reason) {
        const error = fileError(reason);
        const { onTaken, onApart } = this.#options;
        // Reading the existing file for its checksum may take long, and so may a copy. The group does not wait for
        // that.
        if (error.code === "exists") {
          waiting.settled.resolve(Promise.try(() => onTaken(waiting)));
        } else if (onApart && !waiting.broughtOver && isCrossDevice(error)) {
          waiting.settled.resolve(Promise.try(() => onApart(waiting)));
        } else waiting.settled.reject(error);
      }
    }
    try {
      if (durable) await syncDirectories(changed);
      rooms.assertStanding?.();
      for (const { settled, checksum, staged, unkept } of published) {
        const { size } = staged;
        settled.resolve({ checksum, size, unchanged: false, ...unkeptKey(unkept) });
      }
    } catch (error) {
      for (const { settled } of published) settled.reject(fileError(error));
    }
  }

  async #flush(waiting: Waiting<Within>, rooms: Rooms<Within>): Promise<void> {
    const { staged, checksum, mtime, mode, explicit, look, replace, name, within } = waiting;
    // A file whose content is replaced keeps its permission bits.
    const kept = replace && mode === undefined ? rooms.modeOf?.(name, within) : undefined;
    waiting.unkept = staged.setAttributes({ mtime, mode: mode ?? kept, explicit, look });
    await makeSure(staged, { checksum, durable: this.#options.durable });
  }

  /** Gives a file its name, and adds the directories that have to be flushed to `changed`. */
  #rename(publication: Publication<Within>, room: Room, changed: ChangedDirectory[]): void {
    const { onReplaced } = this.#options;
    const { staged, replace } = publication;
    changed.push(...room.made);
    const replaced = onReplaced && replace ? infoAt(room.path) : undefined;
    publication.onNaming?.();
    staged.publish(room.path, { replace });
    publication.onNamed?.(room.path);
    if (replaced) onReplaced?.(replaced);
    changed.push(room.directory);
  }
}
