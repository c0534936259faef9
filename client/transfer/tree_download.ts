/**
 * How a directory is downloaded: existing files are left out, small files are requested in a pipeline and flushed in
 * groups, large ones follow one by one.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { type Entry, type Listed, type Omitted, unkeptKey } from "../../lib/core/entry.ts";
import { FerryError, mayPass, quote, toFerryError, wasCut } from "../../lib/core/errors.ts";
import { dirname } from "../../lib/core/paths.ts";
import { assertStorable, type FileName, parseFileName } from "../../lib/core/remote_name.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { directoryAt } from "../../lib/files/directory_flush.ts";
import { GroupCommit, type Room, type Rooms } from "../../lib/files/group_commit.ts";
import { isDirectory } from "../../lib/files/path_lookup.ts";
import { modeAt } from "../../lib/files/permission_bits.ts";
import { StagedFile } from "../../lib/files/staged_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Connection, SmallDownload } from "../net/connection.ts";
import type { IncomingFile } from "../net/incoming_file.ts";
import { download } from "./download.ts";
import { planDownload } from "./download_plan.ts";
import {
  assertNameFree,
  assertSameFile,
  checksumOfFile,
  existingFileAt,
  isWanted,
} from "./existing_file.ts";
import { type Connections, eachOf, onEach } from "./jobs.ts";
import { isLocalFailure, localFailure } from "./local_failure.ts";
import { assertDistinctHere, NameCollisions } from "./name_collisions.ts";
import { reportOmission } from "./omissions.ts";
import { assertOptionValues } from "./option_values.ts";
import { type GetTreeOptions, nothingTransferred, type Transferred } from "./options.ts";
import {
  kindOfPartialDownload,
  removePartialDownloads,
  TEMPORARY_PREFIX,
} from "./partial_downloads.ts";

/** Files up to this size are requested in a pipeline. */
const SMALL_BYTES = 1024 * 1024;

/** The coarsest resolution of file times in any file system, in milliseconds. */
const COARSE_STEP = 2000;

/** The most small files that wait for their flush at the same time. */
const MAX_UNPUBLISHED = 256;

interface Item {
  entry: Entry;
  /** Its name relative to the directory. */
  name: FileName;
  path: string;
  /** The permission bits of the file that it replaces. */
  replaced?: number | undefined;
  /** The size of the existing file, in bytes. */
  there?: number;
  /** The earlier name that the local file system may take for the same. */
  before?: string | undefined;
}

/** A request for a small file. */
interface SmallItem extends SmallDownload {
  item: Item;
}

/** Paths for downloaded files, whose directories are made where they are missing. */
class LocalRooms implements Rooms {
  readonly #made = new Set<string>();

  room(path: string): Room {
    const directory = dirname(path);
    const made = this.#made.has(directory) ? [] : makeDirectories(directory);
    this.#made.add(directory);
    return { path, directory: directoryAt(directory), made: made.map(directoryAt) };
  }

  [Symbol.dispose](): void {}
}

/** A download of a directory, over one connection or several. */
export class TreeDownload {
  readonly #name: string;
  readonly #out: string;
  readonly #options: GetTreeOptions;
  readonly #algorithm: Algorithm;
  readonly #left = new Map<string, Item>();
  /** Files that come last, since the local file system may take their names for those of earlier files. */
  readonly #later = new Map<string, Item>();
  /** The directories that were made by this download, which were empty before. */
  readonly #made = new Set<string>();
  /** The directories that existed, in which an earlier attempt may have left partial downloads. */
  readonly #found = new Set<string>();
  #failures = 0;
  readonly #publisher: GroupCommit;
  /** The checksums of local files, so that a new connection does not have to compute them again. */
  readonly #checksums = new Map<string, Checksum>();
  readonly #publishing = new Set<Promise<void>>();
  #listed = false;
  /** Whether to check if a small file keeps its modification time: until one has kept all of it. */
  #looks = true;

  /** A download of the directory `name` into the local directory `out`. */
  constructor(name: string, out: string, options: GetTreeOptions) {
    this.#name = name;
    this.#out = out;
    assertOptionValues(options);
    this.#options = options;
    this.#algorithm = options.algorithm ?? "md5";
    this.#publisher = new GroupCommit({
      durable: options.durability !== "none",
      rooms: () => new LocalRooms(),
      async onTaken({ name, staged: { size, runtime }, checksum }) {
        await assertSameFile(name, { size, checksum }, runtime);
        return { checksum, size, unchanged: true };
      },
    });
  }

  /** Whether {@linkcode run} ended early, since files that failed locally have ended all connections. */
  get isCutShort(): boolean {
    return !this.#options.dryRun && this.#left.size + this.#later.size > 0;
  }

  /** Transfers the remaining files; where a connection is lost, the rest is left for the next ones. */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    connection.assertOffers(this.#algorithm);
    if (!this.#listed) await this.#list(connection);
    this.#listed = true;
    const { dryRun, onFile } = this.#options;
    if (dryRun) {
      for (const item of [...this.#left.values()]) {
        const { entry: { filename, size }, path } = item;
        try {
          assertNameFree(path, this.#options.overwrite ?? "never");
          onFile?.(nothingTransferred(filename, { size }));
        } catch (error) {
          this.#failed(item, error);
        }
      }
      return;
    }
    try {
      const nextSmall = this.#small();
      await onEach(connections, (connection) =>
        connection.getEach(
          nextSmall,
          (file, { item }) => this.#store(file, item, connection.runtime),
          ({ item }, error) => this.#smallFailed(item, error),
        ));
    } finally {
      await Promise.all(this.#publishing);
    }
    await eachOf(connections, [...this.#left.values()], (connection, items) => {
      return this.#getEach(connection, items);
    });
    // These are transferred one by one, so that each sees the result of the previous one.
    await eachOf([connection], [...this.#later.values()], (connection, items) => {
      return this.#getEach(connection, items);
    });
    // After a failure, the partial downloads are kept for the next attempt.
    if (this.#failures > 0) return;
    for (const directory of this.#found) removePartialDownloads(directory, connection.runtime);
  }

  async #getEach(connection: Connection, items: AsyncIterable<Item>): Promise<void> {
    for await (const item of items) {
      const { before, entry: { filename }, path } = item;
      try {
        if (before !== undefined) {
          await assertDistinctHere(path, before);
          if (!await this.#wants(connection, item)) {
            this.#forget(item);
            this.#stays(item);
            continue;
          }
        }
        const plan = planDownload(filename, path, { ...this.#options, keepTime: true });
        this.#done(item, await download(connection, plan));
      } catch (error) {
        if (!connection.usable && !isLocalFailure(error)) throw error;
        this.#failed(item, error);
        // In the middle of a file, a connection cannot be used for anything else.
        if (!connection.usable) return;
      }
    }
  }

  /** Lists the files, makes the directories, and leaves out files that need not be transferred. */
  async #list(connection: Connection): Promise<void> {
    const { filter, dryRun, onPlan } = this.#options;
    /** Directories that are left out, with all their content. */
    const without = new Set<string>();
    const items: Item[] = [];
    /** Reports of what is left out, deferred until the list is complete: a list that is cut is requested again. */
    const telling: (() => void)[] = [];
    const take = (listed: Listed) => {
      const { filename, omitted, type = "file" } = listed;
      const name = this.#nameInside(filename);
      const path = `${this.#out}/${name}`;
      const parent = name.slice(0, Math.max(0, name.lastIndexOf("/")));
      const leftOut = (tell?: () => void) => {
        without.add(name);
        if (tell) telling.push(tell);
      };
      if (without.has(parent) || filter && !filter.accepts(name, type)) return leftOut();
      if (omitted !== undefined) return leftOut(() => this.#omit({ filename, omitted }));
      const reason = kindOfPartialDownload(name);
      if (reason !== undefined) return leftOut(() => this.#omit({ filename, omitted: reason }));
      const item = { entry: listed as Entry, name: name as FileName, path };
      try {
        assertStorable(parseFileName(name));
      } catch (error) {
        return leftOut(() => this.#failed(item, error));
      }
      if (type === "file") return void items.push(item);
      try {
        if (!dryRun && (!filter || filter.keeps(name))) this.#makeDirectory(path);
      } catch (error) {
        telling.push(() => this.#failed(item, error));
      }
    };
    const all = { recursive: true, omitted: true };
    for await (const entries of connection.list(this.#name, all)) entries.forEach(take);
    for (const tell of telling) tell();
    if (!dryRun) this.#makeDirectory(this.#out);
    onPlan?.(items.length, items.reduce((sum, { entry }) => sum + entry.size, 0));
    const pace = new Pace();
    const clashes = new NameCollisions();
    for (const item of items) {
      if (pace.isDue) await pace.rest();
      item.before = clashes.before(item.name);
      if (item.before !== undefined && !dryRun) {
        this.#later.set(item.entry.filename, item);
        continue;
      }
      const directory = dirname(item.path);
      const known = this.#made.has(directory) || this.#found.has(directory);
      if (!known && isDirectory(directory)) this.#found.add(directory);
      try {
        if (await this.#wants(connection, item)) this.#left.set(item.entry.filename, item);
        else this.#stays(item);
      } catch (error) {
        if (!connection.usable) throw error;
        this.#failed(item, error);
      }
    }
  }

  #makeDirectory(path: string): void {
    try {
      if (makeDirectories(path).length > 0) this.#made.add(path);
      else this.#found.add(path);
    } catch (error) {
      throw localFailure(error, path);
    }
  }

  /** The name relative to the directory, which may be invalid. */
  #nameInside(filename: string): string {
    const prefix = this.#name === "" ? "" : `${this.#name}/`;
    if (!filename.startsWith(prefix)) {
      throw new FerryError("bad_name", `the server lists ${quote(filename)}, which is not in it`);
    }
    return filename.slice(prefix.length);
  }

  /** Whether a file has to be transferred. */
  async #wants(connection: Connection, item: Item): Promise<boolean> {
    const { entry, path } = item;
    const { overwrite = "never" } = this.#options;
    const algorithm = this.#algorithm;
    if (this.#made.has(dirname(path))) return true;
    const existing = existingFileAt(path);
    if (!existing) return true;
    item.replaced = existing.bits;
    item.there = existing.size;
    if (overwrite === "always") return true;
    if (existing.size === entry.size && existing.mtime === entry.mtime) return false;
    // Checksums in a list are md5 only.
    const incoming = { ...entry, checksum: algorithm === "md5" ? entry.checksum : null };
    return await isWanted(overwrite, incoming, existing, {
      here: async () => {
        const known = this.#checksums.get(path);
        const checksum = known ?? await checksumOfFile(path, algorithm, connection.runtime);
        this.#checksums.set(path, checksum);
        return checksum;
      },
      there: async () => (await connection.stat(entry.filename, algorithm)).checksum,
    });
  }

  /** Reports an existing file that stays: with its own checksum, where it is known. */
  #stays({ entry: { filename }, path, there: size = 0 }: Item): void {
    const checksum = this.#checksums.get(path) ?? null;
    this.#options.onFile?.(nothingTransferred(filename, { size, checksum, skipped: true }));
  }

  /** Returns the small files one after the other, for all connections together. */
  #small(): () => SmallItem | undefined {
    const algorithm = this.#algorithm;
    const items = this.#left.values().filter(({ entry }) => entry.size <= SMALL_BYTES).toArray();
    let at = 0;
    return () => {
      const item = items[at++];
      return item && { request: { filename: item.entry.filename, algorithm }, item };
    };
  }

  /** Receives a small file, and leaves its flush to the group. */
  async #store(file: IncomingFile, item: Item, runtime: Runtime): Promise<void> {
    const { size, mtime, mode } = file;
    const bits = this.#options.preserve ? mode : item.replaced;
    const staged = stage(dirname(item.path), bits, runtime);
    let checksum: Checksum;
    try {
      ({ checksum } = await file.receive(staged));
    } catch (error) {
      await staged[Symbol.asyncDispose]();
      throw error;
    }
    const publishing = this.#publish(item, staged, { checksum, size, mtime, mode });
    this.#publishing.add(publishing);
    void publishing.then(() => this.#publishing.delete(publishing));
    while (this.#publishing.size >= MAX_UNPUBLISHED) await Promise.race(this.#publishing);
  }

  #smallFailed(item: Item, error: unknown): void {
    if (wasCut(error)) throw error;
    // After a temporary failure, the file is retried by itself, when the others are done.
    if (!mayPass(toFerryError(error))) this.#failed(item, error);
  }

  async #publish(
    item: Item,
    staged: StagedFile,
    { checksum, size, mtime, mode }: {
      checksum: Checksum;
      size: number;
      mtime: number;
      mode: number;
    },
  ): Promise<void> {
    await using _staged = staged;
    const { overwrite = "never", preserve } = this.#options;
    try {
      const look = this.#looks;
      const { unkept, unchanged } = await this.#publisher.publish({
        name: item.path as FileName,
        staged,
        checksum,
        replace: overwrite !== "never",
        mtime,
        mode: preserve ? mode : item.replaced === undefined ? undefined : modeAt(item.path),
        explicit: preserve,
        look,
      });
      // A time that is a multiple of the coarsest resolution proves nothing.
      if (look && !unkept && mtime % COARSE_STEP !== 0) this.#looks = false;
      const { filename } = item.entry;
      const crossed = { transferred: size, resumedFrom: 0 };
      const result = { filename, checksum, size, skipped: unchanged, ...crossed };
      this.#done(item, { ...result, ...unkeptKey(unkept) });
    } catch (error) {
      this.#failed(item, error);
    }
  }

  #done(item: Item, result: Transferred): void {
    this.#forget(item);
    this.#options.onFile?.(result);
  }

  #omit(omission: { filename: string; omitted: Omitted }): void {
    if (omission.omitted instanceof FerryError) this.#failures++;
    reportOmission(this.#options, "get", omission);
  }

  #forget({ entry: { filename } }: Item): void {
    this.#left.delete(filename);
    this.#later.delete(filename);
  }

  #failed(item: Item, error: unknown): void {
    this.#failures++;
    this.#forget(item);
    const { filename } = item.entry;
    this.#options.onError?.(
      filename,
      localFailure(error, item.path).during(`get ${quote(filename)}`),
    );
  }
}

/** A new temporary file in a directory, which is made where it is missing. */
function stage(directory: string, mode: number | undefined, runtime: Runtime): StagedFile {
  const create = () => StagedFile.create(directory, runtime, { prefix: TEMPORARY_PREFIX, mode });
  try {
    return create();
  } catch (error) {
    if (toFerryError(error).code !== "not_found") throw error;
    makeDirectories(directory);
    return create();
  }
}
