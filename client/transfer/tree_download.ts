/**
 * How a directory is downloaded: existing files are left out, small files are requested in a pipeline and flushed in
 * groups, large ones follow one by one.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { unkeptKey } from "../../lib/core/entry.ts";
import { mayPass, toFerryError, wasCut } from "../../lib/core/errors.ts";
import { dirname } from "../../lib/core/paths.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { directoryAt } from "../../lib/files/directory_flush.ts";
import { GroupCommit, type Room, type Rooms } from "../../lib/files/group_commit.ts";
import { modeAt } from "../../lib/files/permission_bits.ts";
import { StagedFile } from "../../lib/files/staged_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Connection } from "../net/connection.ts";
import type { SmallDownload } from "../net/file_requests.ts";
import type { IncomingFile } from "../net/incoming_file.ts";
import { STREAM_BYTES } from "../net/streams.ts";
import { download } from "./download.ts";
import { type DownloadHooks, type DownloadItem, DownloadItems } from "./download_items.ts";
import { planDownload } from "./download_plan.ts";
import { assertNameFree, assertSameFile } from "./existing_file.ts";
import { type Connections, eachOf, onEach } from "./jobs.ts";
import { copyLocal, findKnown, type KnownDownload } from "./known_downloads.ts";
import { isLocalFailure } from "./local_failure.ts";
import { assertDistinctHere } from "./name_collisions.ts";
import { assertOptionValues } from "./option_values.ts";
import { type GetTreeOptions, knownKey, nothingTransferred, type Transferred } from "./options.ts";
import { removePartialDownloads, TEMPORARY_PREFIX } from "./partial_downloads.ts";

/** Files up to this size are requested in a pipeline. */
const SMALL_BYTES = 1024 * 1024;

/** The coarsest resolution of file times in any file system, in milliseconds. */
const COARSE_STEP = 2000;

/** The most small files that wait for their flush at the same time. */
const MAX_UNPUBLISHED = 256;

/** A request for a small file. */
interface SmallItem extends SmallDownload {
  item: DownloadItem;
}

/** A small file, or one that was copied, before it has its name. */
interface Stored {
  checksum: Checksum;
  size: number;
  mtime: number;
  mode: number;
  /** The local file that it was copied from; undefined where it was transferred. */
  known?: string | undefined;
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
  readonly #options: GetTreeOptions;
  readonly #hooks: DownloadHooks;
  readonly #algorithm: Algorithm;
  readonly #items: DownloadItems;
  readonly #publisher: GroupCommit;
  readonly #publishing = new Set<Promise<void>>();
  #listed = false;
  /** Whether to check if a small file keeps its modification time: until one has kept all of it. */
  #looks = true;

  /** A download of the directory `name` into the local directory `out`. */
  constructor(name: string, out: string, options: GetTreeOptions, hooks: DownloadHooks = {}) {
    assertOptionValues(options);
    this.#options = options;
    this.#hooks = hooks;
    this.#items = new DownloadItems(name, out, options, hooks);
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
    return !this.#options.dryRun && this.#items.anyLeft;
  }

  /** Transfers the remaining files; where a connection is lost, the rest is left for the next ones. */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    connection.assertOffers(this.#algorithm);
    if (this.#options.links) connection.assertFeature("links", "symbolic links");
    if (!this.#listed) await this.#items.list(connection);
    this.#listed = true;
    const { dryRun, onFile } = this.#options;
    if (dryRun) {
      const known = new Map<DownloadItem, string>();
      const { hasBefore } = this.#items;
      for await (const { item, path } of this.#known(connection, hasBefore)) known.set(item, path);
      for (const item of [...this.#items.left.values()]) {
        const { entry: { filename, size }, path } = item;
        try {
          assertNameFree(path, this.#options.overwrite ?? "never");
          onFile?.({ ...nothingTransferred(filename, { size }), ...knownKey(known.get(item)) });
        } catch (error) {
          this.#items.failed(item, error);
        }
      }
      await this.#items.makeLinks();
      return;
    }
    if (this.#options.delta !== false) this.#items.holdBack();
    await this.#fetch(connections, { copies: this.#items.hasBefore });
    // Where connections have ended early, what is left comes first when there are new ones.
    if (this.#items.left.size === 0 && this.#items.release()) {
      await this.#fetch(connections, { copies: true });
    }
    // These are transferred one by one, so that each sees the result of the previous one.
    await eachOf([connection], [...this.#items.later.values()], (connection, items) => {
      return this.#getEach(connection, items);
    });
    if (this.#items.areFilesDone) await this.#items.makeLinks();
    // After a failure, the partial downloads are kept for the next attempt.
    if (this.#items.failures > 0) return;
    for (const directory of this.#items.found) {
      removePartialDownloads(directory, connection.runtime);
    }
  }

  /** Transfers the files that are left, or with `copies` copies those whose content is here already. */
  async #fetch(connections: Connections, { copies }: { copies: boolean }): Promise<void> {
    const [connection] = connections;
    try {
      for await (const known of this.#known(connection, copies)) {
        await this.#storeKnown(known, connection.runtime);
      }
      await Promise.all(this.#publishing);
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
    await eachOf(connections, [...this.#items.left.values()], (connection, items) => {
      return this.#getEach(connection, items);
    });
  }

  async #getEach(connection: Connection, items: AsyncIterable<DownloadItem>): Promise<void> {
    for await (const item of items) {
      const { before, entry: { filename, size }, path } = item;
      try {
        if (before !== undefined) {
          await assertDistinctHere(path, before);
          if (!await this.#items.wants(connection, item)) {
            this.#items.forget(item);
            this.#items.stays(item);
            continue;
          }
        }
        const { beforeReplacing } = this.#hooks;
        const plan = planDownload(filename, path, {
          ...this.#options,
          // Of smaller files, the server would be asked for their size once more.
          streams: size < STREAM_BYTES ? 1 : this.#options.streams,
          keepTime: true,
          beforeReplacing: beforeReplacing && (() => beforeReplacing(item.name)),
        });
        this.#done(item, await download(connection, plan));
      } catch (error) {
        if (!connection.usable && !isLocalFailure(error)) throw error;
        this.#items.failed(item, error);
        // In the middle of a file, a connection cannot be used for anything else.
        if (!connection.usable) return;
      }
    }
  }

  /** Finds files here that have the content of files to be downloaded. */
  async *#known(
    connection: Connection,
    copies: boolean,
  ): AsyncGenerator<KnownDownload, void, void> {
    const { left } = this.#items;
    if (this.#options.delta === false || left.size === 0 || !copies) return;
    yield* findKnown(connection, left.values(), this.#items.out, this.#algorithm);
  }

  /** Copies a file from here. Where that fails, it is left to be transferred. */
  async #storeKnown({ item, entry, path }: KnownDownload, runtime: Runtime): Promise<void> {
    const { size, mtime, mode, checksum } = entry;
    const staged = this.#stage(item, mode, runtime);
    try {
      if (await copyLocal(path, staged, this.#algorithm) === checksum) {
        return await this.#publishLater(item, staged, { checksum, size, mtime, mode, known: path });
      }
    } catch {
      // The file has changed or vanished; anything else will fail again, and is reported then.
    }
    await staged[Symbol.asyncDispose]();
  }

  /** Returns the small files one after the other, for all connections together. */
  #small(): () => SmallItem | undefined {
    const algorithm = this.#algorithm;
    const items = this.#items.left.values().filter(({ entry }) => entry.size <= SMALL_BYTES)
      .toArray();
    let at = 0;
    return () => {
      const item = items[at++];
      return item && { request: { filename: item.entry.filename, algorithm }, item };
    };
  }

  /** Receives a small file, and leaves its flush to the group. */
  async #store(file: IncomingFile, item: DownloadItem, runtime: Runtime): Promise<void> {
    const { size, mtime, mode } = file;
    const staged = this.#stage(item, mode, runtime);
    let checksum: Checksum;
    try {
      ({ checksum } = await file.receive(staged));
    } catch (error) {
      await staged[Symbol.asyncDispose]();
      throw error;
    }
    await this.#publishLater(item, staged, { checksum, size, mtime, mode });
  }

  #stage(item: DownloadItem, mode: number, runtime: Runtime): StagedFile {
    const bits = this.#options.preserve ? mode : item.replaced;
    const staged = stage(dirname(item.path), bits, runtime);
    if (this.#options.sparse) staged.makeHoles();
    return staged;
  }

  /** Publishes a file, together with others, and waits only where many wait already. */
  async #publishLater(item: DownloadItem, staged: StagedFile, stored: Stored): Promise<void> {
    const publishing = this.#publish(item, staged, stored);
    this.#publishing.add(publishing);
    void publishing.then(() => this.#publishing.delete(publishing));
    while (this.#publishing.size >= MAX_UNPUBLISHED) await Promise.race(this.#publishing);
  }

  #smallFailed(item: DownloadItem, error: unknown): void {
    if (wasCut(error)) throw error;
    // After a temporary failure, the file is retried by itself, when the others are done.
    if (!mayPass(toFerryError(error))) this.#items.failed(item, error);
  }

  async #publish(
    item: DownloadItem,
    staged: StagedFile,
    { checksum, size, mtime, mode, known }: Stored,
  ): Promise<void> {
    await using _staged = staged;
    const { overwrite = "never", preserve } = this.#options;
    try {
      await this.#hooks.beforeReplacing?.(item.name);
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
      const crossed = { transferred: known === undefined ? size : 0, resumedFrom: 0 };
      const result = { filename, checksum, size, skipped: unchanged, ...crossed };
      this.#done(item, { ...result, ...knownKey(known), ...unkeptKey(unkept) });
    } catch (error) {
      this.#items.failed(item, error);
    }
  }

  #done(item: DownloadItem, result: Transferred): void {
    this.#items.forget(item);
    this.#options.onFile?.(result);
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
