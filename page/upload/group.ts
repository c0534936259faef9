/// <reference lib="dom" />
/**
 * Files that were dropped or chosen together, and how they compare with what the server has at the end.
 *
 * @module
 */

import { type Collected, topOf } from "./collect.ts";
import { UploadFailure } from "./failure.ts";
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

/** How far files are done in their order: what was found done is not looked at again, however many they are. */
class Front {
  readonly #items: readonly Item[];
  readonly #isDone: (item: Item) => boolean;
  #at = 0;

  constructor(items: readonly Item[], isDone: (item: Item) => boolean) {
    this.#items = items;
    this.#isDone = isDone;
  }

  /** The first file that is not done. */
  next(): Item | undefined {
    while (this.#at < this.#items.length && this.#isDone(this.#items[this.#at]!)) this.#at++;
    return this.#items[this.#at];
  }

  /** Whether all of them are done. */
  isWhole(): boolean {
    return this.next() === undefined;
  }

  /** Looks at all of them again: some are done no longer. */
  again(): void {
    this.#at = 0;
  }
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
  /** The names of what was dropped or chosen. */
  readonly tops: ReadonlySet<string>;
  /** Whether something in it lies in a directory of its own. */
  readonly hasDirectory: boolean;
  /** Ends what is asked of the server for the whole of it. */
  readonly stop: AbortController = new AbortController();
  readonly #complete: Front;
  readonly #settled: Front;
  readonly #begun: Front;
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
    const paths = [...collected.files.map(({ path }) => path), ...collected.directories];
    this.tops = new Set(paths.map(topOf));
    this.hasDirectory = this.directories.length > 0 || paths.some((path) => path.includes("/"));
    this.#complete = new Front(
      this.items,
      ({ state }) => state === "arrived" || state === "skipped",
    );
    this.#settled = new Front(this.items, ({ isSettled }) => isSettled);
    this.#begun = new Front(this.items, ({ state }) => state !== "waiting");
  }

  /** Whether each file has arrived, or somebody decided that it need not. */
  get isComplete(): boolean {
    return this.#complete.isWhole();
  }

  /** Whether nothing more happens by itself to any file. */
  get isSettled(): boolean {
    return this.#settled.isWhole();
  }

  /** Whether somebody decided of each file that it need not arrive. */
  get isCancelled(): boolean {
    return this.items.length > 0 && this.items.every(({ state }) => state === "skipped");
  }

  /** The next file to be sent. */
  get next(): Item | undefined {
    return this.#begun.next();
  }

  /** Takes files of it up again. */
  reopen(): void {
    this.#complete.again();
    this.#settled.again();
    this.#begun.again();
    this.isDone = false;
    this.isCounted = false;
    this.count = undefined;
    this.failure = undefined;
    this.round++;
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

  /** Counts what has arrived among what the server has. What had arrived and is missing has failed. */
  countAmong(there: ReadonlyMap<string, StoredFile>): void {
    // What is sent once more is compared with what is there now.
    this.before = there;
    const { missing } = this.count = this.#counted(there);
    const lost = new Set(missing);
    for (const item of this.items) {
      if (item.state !== "arrived" || !lost.has(item.name)) continue;
      item.state = "failed";
      item.failure = new UploadFailure("lost");
      item.sent = 0;
    }
    this.#complete.again();
  }

  #counted(there: ReadonlyMap<string, StoredFile>): Count {
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
