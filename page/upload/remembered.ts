/// <reference lib="dom" />
/**
 * What outlives the page: which uploads were not finished, so that they can be continued after it was closed. A page
 * cannot keep files: they have to be chosen again.
 *
 * @module
 */

/** A group of files that was not sent completely. */
export interface Unfinished {
  readonly id: string;
  /** What precedes each path of the view that it was sent into. */
  readonly prefix: string;
  /** The directory that it was sent into. */
  readonly directory: string;
  /** The names of what was dropped or chosen, of not more than {@linkcode MAX_TOPS}. */
  readonly tops: readonly string[];
  /** Whether one of them is a directory. */
  readonly hasDirectory: boolean;
  readonly files: number;
  readonly arrived: number;
  /** The unfinished uploads of single files. */
  readonly uploads: readonly Address[];
}

/** The address of an unfinished upload, and what its file was. */
export interface Address {
  readonly name: string;
  readonly size: number;
  readonly mtime: number;
  readonly url: string;
}

/** How many names of a group are kept. */
export const MAX_TOPS = 20;

/** A group is that of another page which is open as long as it was saved within so many milliseconds. */
const ALIVE_MS = 15_000;

/** How long a group is kept, in milliseconds. */
const KEPT_MS = 7 * 24 * 60 * 60 * 1000;

const KEY = "ferry-uploads";

/** A group as it is kept. */
interface Kept extends Unfinished {
  readonly tab: string;
  readonly saved: number;
}

/** Keeps groups in the storage of the browser. Where that is switched off, nothing is kept. */
export class Remembered {
  readonly #storage: Pick<Storage, "getItem" | "setItem"> | undefined;
  readonly #tab: string;
  readonly #now: () => number;

  /**
   * @param storage what all pages of the origin share
   * @param tab what tells this tab from others, and stays when it is reloaded
   */
  constructor(
    storage: Pick<Storage, "getItem" | "setItem"> | undefined,
    tab: string,
    now: () => number = Date.now,
  ) {
    this.#storage = storage;
    this.#tab = tab;
    this.#now = now;
  }

  /** The groups of pages that are not open any more, the latest first. */
  unfinished(prefix: string): Unfinished[] {
    return this.#read().filter((kept) => kept.prefix === prefix && this.#isLeft(kept))
      .sort((one, other) => other.saved - one.saved);
  }

  #isLeft({ tab, saved }: Kept): boolean {
    return tab === this.#tab || this.#now() - saved > ALIVE_MS;
  }

  /** The address of an unfinished upload of a file. */
  find(prefix: string, file: Omit<Address, "url">): string | undefined {
    return this.unfinished(prefix).flatMap(({ uploads }) => uploads).find((kept) =>
      kept.name === file.name && kept.size === file.size && kept.mtime === file.mtime
    )?.url;
  }

  /** Keeps a group, in place of what was kept of it before. */
  save(group: Unfinished): void {
    const kept: Kept = { ...group, tab: this.#tab, saved: this.#now() };
    this.#write([...this.#read().filter(({ id }) => id !== group.id), kept]);
  }

  /** Forgets a group. */
  forget(id: string): void {
    const all = this.#read();
    const rest = all.filter((kept) => kept.id !== id);
    if (rest.length < all.length) this.#write(rest);
  }

  #read(): Kept[] {
    try {
      const all = JSON.parse(this.#storage?.getItem(KEY) ?? "[]") as Kept[];
      return all.filter(({ saved }) => this.#now() - saved < KEPT_MS);
    } catch {
      return [];
    }
  }

  #write(all: readonly Kept[]): void {
    try {
      this.#storage?.setItem(KEY, JSON.stringify(all));
    } catch {
      // It is full: the uploads go on, and cannot be continued after a reload.
    }
  }
}
