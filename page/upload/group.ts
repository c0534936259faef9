/// <reference lib="dom" />
/**
 * Files that were dropped or chosen together, and how they compare with what the server has at the end.
 *
 * @module
 */

import { type Collected, topOf } from "./collect.ts";
import type { UploadFailure } from "./failure.ts";
import { Item } from "./item.ts";
import { nameIn } from "./names.ts";
import { MAX_TOPS, type Unfinished } from "./remembered.ts";
import type { StoredFile } from "./stored.ts";

/** What a count on both sides gave. */
export interface Count {
  /** How many files were to be there. */
  readonly here: number;
  /** How many of them are there, with the same size and, where the server tells it, the same MD5. */
  readonly there: number;
  /** The names of the others. */
  readonly missing: readonly string[];
}

/** Files that were dropped or chosen together. */
export class Group {
  readonly id: string;
  /** The directory of the server that they are sent into. */
  readonly directory: string;
  readonly items: readonly Item[];
  /** The names of empty directories. */
  readonly directories: readonly string[];
  /** What the browser cannot send, or may have passed over. */
  readonly flaws: Collected["flaws"];
  /** What the server had before; undefined as long as that is not known, or if it cannot be known. */
  before: ReadonlyMap<string, StoredFile> | undefined;
  /** Whether its files may be sent: it is known which ones are there already. */
  isReady = false;
  /** The count at the end; undefined before, and where nobody may list the directory. */
  count: Count | undefined;
  /** Why empty directories were not made, or nothing was counted. */
  failure: UploadFailure | undefined;
  /** How often files of it were taken up again: a count of an earlier round is of no use. */
  round = 0;
  /** Whether all of its files are settled. */
  isDone = false;
  /** Whether it was tried to count. */
  isCounted = false;

  /** @param collected what was dropped or chosen */
  constructor(id: string, directory: string, collected: Collected) {
    this.id = id;
    this.directory = directory;
    this.items = collected.files.map(({ path, file }, index) =>
      new Item(`${id}-${index}`, file, nameIn(directory, path))
    );
    this.directories = collected.directories.map((path) => nameIn(directory, path));
    this.flaws = collected.flaws;
  }

  /** The names of what was dropped or chosen. */
  get tops(): Set<string> {
    const names = [...this.items.map(({ name }) => name), ...this.directories];
    const start = this.directory === "" ? 0 : this.directory.length + 1;
    return new Set(names.map((name) => topOf(name.slice(start))));
  }

  /** Whether something in it lies in a directory of its own. */
  get hasDirectory(): boolean {
    const start = this.directory === "" ? 0 : this.directory.length + 1;
    return this.directories.length > 0 || this.items.some(({ name }) => name.includes("/", start));
  }

  /** Whether each file has arrived, or somebody decided that it need not. */
  get isComplete(): boolean {
    return this.items.every(({ state }) => state === "arrived" || state === "skipped");
  }

  /** What is kept of it as long as it is not complete. */
  unfinished(prefix: string): Unfinished {
    const uploads = this.items.flatMap(({ name, file, address }) =>
      address === undefined ? [] : { name, size: file.size, mtime: file.lastModified, url: address }
    );
    return {
      id: this.id,
      prefix,
      directory: this.directory,
      tops: [...this.tops].slice(0, MAX_TOPS),
      hasDirectory: this.hasDirectory,
      files: this.items.length,
      arrived: this.items.filter(({ state }) => state === "arrived").length,
      uploads,
    };
  }

  /** Counts what has arrived among what the server has. */
  counted(there: ReadonlyMap<string, StoredFile>): Count {
    const sent = this.items.filter(({ state }) => state !== "skipped");
    const missing = sent.filter((item) => {
      const stored = there.get(item.name);
      return item.state !== "arrived" || stored?.size !== item.file.size ||
        (stored.md5 !== null && stored.md5 !== item.md5);
    });
    return {
      here: sent.length,
      there: sent.length - missing.length,
      missing: missing.map(({ name }) => name),
    };
  }
}
