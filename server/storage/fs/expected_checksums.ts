/**
 * The checksums that the bytes of files should have: those of their uploads, or for other files the first ones that were
 * computed. They show damage on the disk also in files that nobody has read since, or that were read when they were
 * damaged already. They do not say what the bytes are now, so no reply to a client relies on them.
 *
 * @module
 */

import type { Checksum } from "../../../lib/core/checksum.ts";
import type { CacheDatabase, CacheDatabaseOptions } from "./cache_database.ts";
import { sealOfText } from "./row_seal.ts";

const STATEMENTS = {
  find: "SELECT version, checksum, seal FROM expected WHERE key = ?",
  add: "INSERT OR REPLACE INTO expected (key, version, checksum, seal) VALUES (?, ?, ?, ?)",
  // Each new row gets a higher number than all others have.
  removeOldest: "DELETE FROM expected WHERE number <= (SELECT max(number) FROM expected) - ?",
};

/** What the database has for them. */
export const EXPECTED_CHECKSUMS: CacheDatabaseOptions = {
  schema: `
    CREATE TABLE IF NOT EXISTS expected (
      number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version TEXT NOT NULL, checksum TEXT NOT NULL,
      seal TEXT NOT NULL
    );
  `,
  statements: STATEMENTS,
};

/** How many are kept, of those that were recorded last. */
const MOST = 1_000_000;

/** How many are written to the database at a time, at most, and for how long they are collected in milliseconds. */
const BATCH = { count: 256, time: 1000 };

/** What is kept of a file. */
export interface Expected {
  /** Its version, as `FileIdentity` has it, when the checksum was recorded. */
  readonly version: string;
  /** The checksum of its bytes. */
  readonly checksum: Checksum;
}

/** The checksums, by the keys of the files. No method fails. */
export class ExpectedChecksums {
  readonly #database: CacheDatabase;
  readonly #most: number;
  #pending = new Map<string, Expected>();
  /** When something was written last, in milliseconds since the process began. */
  #flushed = -Infinity;

  /** The checksums in a database that has the table. */
  constructor(database: CacheDatabase, most: number = MOST) {
    this.#database = database;
    this.#most = most;
  }

  /** Records the checksum of a file, in place of that of another one that had the same key. */
  add(key: string, expected: Expected): void {
    this.#pending.set(key, expected);
    const isDue = performance.now() - this.#flushed >= BATCH.time;
    if (isDue || this.#pending.size >= BATCH.count) this.flush();
  }

  /** Writes what was recorded last. */
  flush(): void {
    if (this.#pending.size === 0) return;
    const rows = [...this.#pending].map(([key, expected]) => {
      return [key, expected.version, expected.checksum, sealOf(key, expected)];
    });
    this.#pending.clear();
    this.#database.runAll(STATEMENTS.add, rows);
    this.#database.runAll(STATEMENTS.removeOldest, [[this.#most]]);
    this.#flushed = performance.now();
  }

  /** Forgets what is not written yet. */
  clear(): void {
    this.#pending.clear();
  }

  /** What is kept of a file; undefined if nothing is, or the record is damaged. */
  find(key: string): Expected | undefined {
    const pending = this.#pending.get(key);
    if (pending) return pending;
    const row = this.#database.get(STATEMENTS.find, key);
    if (!row) return undefined;
    const found = { version: String(row.version), checksum: String(row.checksum) };
    return row.seal === sealOf(key, found) ? found : undefined;
  }
}

function sealOf(key: string, { version, checksum }: Expected): string {
  return sealOfText(`${key} ${version} ${checksum}`);
}
