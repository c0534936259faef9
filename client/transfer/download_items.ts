/**
 * What a download of a directory has to transfer: the files that the server lists, without those that are here already.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry, Listed, Omitted } from "../../lib/core/entry.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { dirname } from "../../lib/core/paths.ts";
import {
  assertStorable,
  type FileName,
  parentName,
  parseFileName,
} from "../../lib/core/remote_name.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { isDirectory } from "../../lib/files/path_lookup.ts";
import type { Connection } from "../net/connection.ts";
import { checksumOfFile, existingFileAt, isWanted } from "./existing_file.ts";
import { LinkDownloads, type LinkItem } from "./link_downloads.ts";
import { localFailure } from "./local_failure.ts";
import { NameCollisions } from "./name_collisions.ts";
import { listedBelow } from "./names.ts";
import { reportOmission } from "./omissions.ts";
import { type GetTreeOptions, nothingTransferred } from "./options.ts";
import { kindOfPartialDownload } from "./partial_downloads.ts";

/** A file to be downloaded. */
export interface DownloadItem {
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

/** What else wants to know of a download of a directory. */
export interface DownloadHooks {
  /** Called for each line of the list, with the name relative to the directory. */
  onListed?: ((name: string, listed: Listed) => void) | undefined;
  /**
   * Called before a file gets its name, which is relative to the directory and may be taken. Where it fails, nothing is
   * replaced.
   */
  beforeReplacing?: ((name: string) => Promise<void>) | undefined;
}

/** The items of a download of a directory. */
export class DownloadItems {
  readonly #name: string;
  /** The local directory. */
  readonly out: string;
  readonly #options: GetTreeOptions;
  readonly #hooks: DownloadHooks;
  readonly #algorithm: Algorithm;
  /** The files that are not done yet, in the order of the list. */
  readonly left: Map<string, DownloadItem> = new Map();
  /** Files that come last, since the local file system may take their names for those of earlier files. */
  readonly later: Map<string, DownloadItem> = new Map();
  /** Files whose content another item has, since both are names of one file: these come when all others are there. */
  readonly #held = new Map<string, DownloadItem>();
  /** The directories that were made by this download, which were empty before. */
  readonly #made = new Set<string>();
  /** The directories that existed, in which an earlier attempt may have left partial downloads. */
  readonly found: Set<string> = new Set();
  /** The symbolic links, if they are kept. */
  readonly links: LinkDownloads;
  /** How many files, directories and links have failed. */
  failures = 0;
  /** The checksums of local files, so that a new connection does not have to compute them again. */
  readonly #checksums = new Map<string, Checksum>();

  /** The items of a download of the directory `name` into the local directory `out`. */
  constructor(name: string, out: string, options: GetTreeOptions, hooks: DownloadHooks) {
    this.#name = name;
    this.out = out;
    this.#options = options;
    this.#hooks = hooks;
    this.#algorithm = options.algorithm ?? "md5";
    this.links = new LinkDownloads(out, options, hooks.beforeReplacing);
  }

  /** Whether anything is left. */
  get anyLeft(): boolean {
    return !this.areFilesDone || this.links.anyLeft;
  }

  /** Whether no file is left. */
  get areFilesDone(): boolean {
    return this.left.size + this.later.size + this.#held.size === 0;
  }

  /** Keeps back all but one of the names of each file, to be copied here when that one has been transferred. */
  holdBack(): void {
    const ids = new Set<string>();
    for (const [filename, item] of [...this.left]) {
      const { id } = item.entry;
      if (id === undefined) continue;
      if (ids.has(id)) {
        this.left.delete(filename);
        this.#held.set(filename, item);
      } else ids.add(id);
    }
  }

  /**
   * Adds what was kept back to what is left.
   *
   * @returns whether there was anything
   */
  release(): boolean {
    for (const [filename, item] of this.#held) this.left.set(filename, item);
    const any = this.#held.size > 0;
    this.#held.clear();
    return any;
  }

  /** Makes the symbolic links, when all files are there. */
  async makeLinks(): Promise<void> {
    this.failures += await this.links.make();
  }

  /** Whether the local directory was there before, and so may have files in it. */
  get hasBefore(): boolean {
    return !this.#made.has(this.out) && isDirectory(this.out);
  }

  /** Lists the files, makes the directories, and leaves out files that need not be transferred. */
  async list(connection: Connection): Promise<void> {
    const { filter, dryRun, onPlan } = this.#options;
    /** Directories that are left out, with all their content. */
    const without = new Set<string>();
    const items: DownloadItem[] = [];
    const links: LinkItem[] = [];
    /** Reports of what is left out, deferred until the list is complete: a list that is cut is requested again. */
    const telling: (() => void)[] = [];
    const take = (listed: Listed) => {
      const { filename, omitted, type = "file" } = listed;
      const name = listedBelow(this.#name, filename);
      this.#hooks.onListed?.(name, listed);
      const path = `${this.out}/${name}`;
      const parent = parentName(name);
      const leftOut = (tell?: () => void) => {
        without.add(name);
        if (tell) telling.push(tell);
      };
      if (without.has(parent) || filter && !filter.accepts(name, type)) return leftOut();
      const link = listed.type === undefined ? listed.link : undefined;
      if (omitted !== undefined && !(this.#options.links && link)) {
        return leftOut(() => this.#omit({ filename, omitted }));
      }
      const reason = kindOfPartialDownload(name);
      if (reason !== undefined) return leftOut(() => this.#omit({ filename, omitted: reason }));
      const item = { entry: listed as Entry, name: name as FileName, path };
      try {
        assertStorable(parseFileName(name));
      } catch (error) {
        return leftOut(() => this.failed(item, error));
      }
      if (link) {
        // What the server lists below a link is none of its business: nothing is written through it.
        without.add(name);
        return void links.push({ ...link, filename, name: item.name, path });
      }
      if (type === "file") return void items.push(item);
      try {
        if (!dryRun && (!filter || filter.keeps(name))) this.#makeDirectory(path);
      } catch (error) {
        telling.push(() => this.failed(item, error));
      }
    };
    const all = { recursive: true, omitted: true, ids: true, links: this.#options.links };
    for await (const entries of connection.list(this.#name, all)) entries.forEach(take);
    for (const tell of telling) tell();
    if (!dryRun) this.#makeDirectory(this.out);
    for (const link of links) {
      const { filename } = link;
      const omitted = this.links.add(link);
      if (omitted !== undefined) this.#omit({ filename, omitted });
    }
    onPlan?.(items.length + links.length, items.reduce((sum, { entry }) => sum + entry.size, 0));
    const pace = new Pace();
    const clashes = new NameCollisions();
    for (const item of items) {
      if (pace.isDue) await pace.rest();
      item.before = clashes.before(item.name);
      if (item.before !== undefined && !dryRun) {
        this.later.set(item.entry.filename, item);
        continue;
      }
      const directory = dirname(item.path);
      const known = this.#made.has(directory) || this.found.has(directory);
      if (!known && isDirectory(directory)) this.found.add(directory);
      try {
        if (await this.wants(connection, item)) this.left.set(item.entry.filename, item);
        else this.stays(item);
      } catch (error) {
        if (!connection.usable) throw error;
        this.failed(item, error);
      }
    }
  }

  #makeDirectory(path: string): void {
    try {
      if (makeDirectories(path).length > 0) this.#made.add(path);
      else this.found.add(path);
    } catch (error) {
      throw localFailure(error, path);
    }
  }

  /** Whether a file has to be transferred. */
  async wants(connection: Connection, item: DownloadItem): Promise<boolean> {
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
  stays({ entry: { filename }, path, there: size = 0 }: DownloadItem): void {
    const checksum = this.#checksums.get(path) ?? null;
    this.#options.onFile?.(nothingTransferred(filename, { size, checksum, skipped: true }));
  }

  #omit(omission: { filename: string; omitted: Omitted }): void {
    if (omission.omitted instanceof FerryError) this.failures++;
    reportOmission(this.#options, "get", omission);
  }

  /** Reports an item that failed, and drops it. */
  failed(item: DownloadItem, error: unknown): void {
    this.failures++;
    this.forget(item);
    const { filename } = item.entry;
    this.#options.onError?.(
      filename,
      localFailure(error, item.path).during(`get ${quote(filename)}`),
    );
  }

  /** Drops a file that is done, or has failed. */
  forget({ entry: { filename } }: DownloadItem): void {
    this.left.delete(filename);
    this.later.delete(filename);
  }
}
