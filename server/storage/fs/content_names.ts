/**
 * An index from the content of files to their names, by which a content is found that an upload need not bring. It says
 * which names had a content when it was recorded, and nothing about now: whoever finds a name has to look at the file.
 *
 * @module
 */

import { type Checksum, hexOf } from "../../../lib/core/checksum.ts";
import { type FileName, RESERVED_DIRECTORY } from "../../../lib/core/remote_name.ts";
import type { CacheDatabase, CacheDatabaseOptions } from "./cache_database.ts";

const STATEMENTS = {
  addName: "INSERT OR IGNORE INTO contents VALUES (?, ?, ?)",
  removeName: "DELETE FROM contents WHERE size = ? AND sum = ? AND name = ?",
  removeNames: "DELETE FROM contents",
  pages:
    "SELECT page_count - freelist_count AS pages FROM pragma_page_count, pragma_freelist_count",
  // The names of a directory are those from "directory/" on up to "directory0", which follows "/".
  byContent: `SELECT sum, name FROM contents
    WHERE size = ? AND sum = ? AND name > ? AND name >= ? AND name < ? ORDER BY name LIMIT 1`,
  bySize: `SELECT sum, name FROM contents
    WHERE size = ? AND (sum, name) > (?, ?) AND name >= ? AND name < ? ORDER BY sum, name LIMIT 1`,
};

/**
 * What the database has for the index. One tree of rows, in the order of the key, is all that is kept, since a row is
 * written with each upload. Rows that are no longer true are dropped when they are found.
 */
export const CONTENT_NAMES: CacheDatabaseOptions = {
  schema: `
    CREATE TABLE IF NOT EXISTS contents (
      size INTEGER NOT NULL, sum INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (size, sum, name)
    ) WITHOUT ROWID;
  `,
  statements: STATEMENTS,
};

/** How the names of the server's own files begin, which no client may find. */
const OWN = `${RESERVED_DIRECTORY}/`;

/** How many names are recorded at a time. With fewer, each page of the tree is written more often. */
const BATCH = 2048;

/**
 * The most pages of 4096 bytes that the database may take, with the checksums that are in it: 1 GiB. Above that, the
 * index begins anew.
 */
const MAX_PAGES = 262_144;

/** A file in the index. */
export interface NamedContent {
  /** Its name. */
  readonly name: string;
  /** Its size in bytes. */
  readonly size: number;
  /** The checksum of its content. */
  readonly checksum: Checksum;
}

/** A row of the index. */
export interface NamedRow {
  /** The size in bytes. */
  readonly size: number;
  /** The first digits of the checksum. */
  readonly sum: number;
  /** The name. */
  readonly name: FileName;
}

/** The index. No method fails. */
export class ContentNames {
  readonly #database: CacheDatabase;
  #pending: (readonly [size: number, sum: number, name: string])[] = [];

  /** The index in a database that has the table. */
  constructor(database: CacheDatabase) {
    this.#database = database;
  }

  /** Records that a name has a content now. What was recorded last may be lost if the process is killed. */
  add({ name, size, checksum }: NamedContent): void {
    if (size === 0 || `${name}/`.startsWith(OWN)) return;
    this.#pending.push([size, sumOf(checksum), name]);
    if (this.#pending.length >= BATCH) this.flush();
  }

  /** Writes what was recorded last. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const rows = this.#pending;
    this.#pending = [];
    if (Number(this.#database.get(STATEMENTS.pages)?.pages ?? 0) > MAX_PAGES) {
      this.#database.runAll(STATEMENTS.removeNames, [[]]);
    }
    this.#database.runAll(STATEMENTS.addName, rows);
  }

  /**
   * A name in a directory that had a content of that size and checksum, the first one after another row. The time that
   * it takes does not depend on what is elsewhere, except for files of the same content, and hardly for these.
   *
   * @param checksum null if any content of that size will do
   * @param directory the directory; "" is the root
   */
  find(
    size: number,
    checksum: Checksum | null,
    directory: FileName | "",
    after?: NamedRow,
  ): NamedRow | undefined {
    this.flush();
    const [from, to] = rangeOf(directory);
    const { sum = -1, name = "" } = after ?? {};
    const row = checksum === null
      ? this.#database.get(STATEMENTS.bySize, size, sum, name, from, to)
      : this.#database.get(STATEMENTS.byContent, size, sumOf(checksum), name, from, to);
    return row && { size, sum: Number(row.sum), name: String(row.name) as FileName };
  }

  /** Forgets names that have another content now, or none. */
  forget(rows: readonly NamedRow[]): void {
    if (rows.length === 0) return;
    const values = rows.map(({ size, sum, name }) => [size, sum, name]);
    this.#database.runAll(STATEMENTS.removeName, values);
  }
}

/** The first 52 bits of a checksum, as a number. What they cannot tell apart is found to differ when it is verified. */
function sumOf(checksum: Checksum): number {
  return parseInt(hexOf(checksum).slice(0, 13), 16);
}

/** The range of the names in a directory, without its end. */
function rangeOf(directory: FileName | ""): [from: string, to: string | Uint8Array] {
  // For SQLite any bytes, even none, are greater than any text.
  return directory === "" ? ["", new Uint8Array()] : [`${directory}/`, `${directory}0`];
}
