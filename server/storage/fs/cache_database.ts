/**
 * An SQLite database for what can be computed again. One that is lost or damaged is replaced by an empty one.
 *
 * @module
 */

import {
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "node:sqlite";

// No other process uses the database, unless it is shared. In exclusive mode SQLite keeps the index of its write-ahead log in memory and not
// in a memory-mapped file: on a full disk, writing to a mapped page would kill the process.
const SETTINGS = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA mmap_size = 0;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
`;

// Several processes lock it for each change, and need no memory-mapped file with this kind of journal.
const SHARED_SETTINGS = `
  PRAGMA busy_timeout = 5000;
  PRAGMA mmap_size = 0;
  PRAGMA journal_mode = TRUNCATE;
  PRAGMA synchronous = OFF;
`;

/** What a database consists of. */
export interface CacheDatabaseOptions {
  /** Creates the tables, if they do not exist. */
  schema: string;
  /** All statements that are used, by any names. A database that one of them does not fit is replaced by an empty one. */
  statements: Readonly<Record<string, string>>;
  /** Whether other processes use it, too: then its file is never removed. Default: false. */
  shared?: boolean | undefined;
}

/** The database. No method fails. */
export class CacheDatabase implements Disposable {
  readonly #options: CacheDatabaseOptions;
  #path: string | undefined;
  #database!: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #closed = false;

  private constructor(path: string | undefined, options: CacheDatabaseOptions) {
    this.#path = path;
    this.#options = options;
  }

  /**
   * Opens the database, or creates it.
   *
   * @param path without a path it is kept in memory
   */
  static open(path: string | undefined, options: CacheDatabaseOptions): CacheDatabase {
    const database = new CacheDatabase(path, options);
    try {
      database.#open(path);
    } catch {
      database.#rebuild(path);
    }
    return database;
  }

  #open(path?: string): void {
    // Ferry 0.1 memory-mapped a file of this name; a process that was killed left it behind.
    if (path !== undefined) remove(`${path}-shm`);
    this.#database = new DatabaseSync(path ?? ":memory:");
    const { schema, statements, shared } = this.#options;
    this.#database.exec((shared ? SHARED_SETTINGS : SETTINGS) + schema);
    for (const sql of Object.values(statements)) {
      this.#statements.set(sql, this.#database.prepare(sql));
    }
  }

  /**
   * Discards the database and creates an empty one, in memory if that fails on the disk. A database that fails in use
   * is replaced by one in memory, too: SQLite would open it by its path, which may lead elsewhere by then.
   */
  #rebuild(path?: string): void {
    try {
      this.#database?.close();
    } catch {
      // It was not open.
    }
    this.#statements.clear();
    try {
      for (const suffix of this.#options.shared ? [] : ["", "-wal"]) {
        if (this.#path !== undefined) remove(this.#path + suffix);
      }
      this.#open(path);
    } catch {
      this.#statements.clear();
      this.#open();
    }
  }

  /** Switches to another database, which is empty, after another program has removed the present one. */
  moveTo(path: string | undefined): void {
    if (this.#closed) return;
    this.#path = path;
    this.#rebuild(path);
  }

  /** The first row that one of the statements finds; undefined if there is none. */
  get(sql: string, ...values: SQLInputValue[]): Record<string, SQLOutputValue> | undefined {
    return this.#attempt(() => this.#statements.get(sql)!.get(...values));
  }

  /** Runs one of the statements for each row of values, for all of them or for none. */
  runAll(sql: string, rows: readonly (readonly SQLInputValue[])[]): void {
    this.#attempt(() => {
      const several = rows.length > 1;
      if (several) this.#database.exec("BEGIN");
      for (const values of rows) this.#statements.get(sql)!.run(...values);
      if (several) this.#database.exec("COMMIT");
    });
  }

  /** Does something with the database; one that fails at it is rebuilt, and there is no result. */
  #attempt<T>(work: () => T): T | undefined {
    if (this.#closed) return undefined;
    try {
      return work();
    } catch {
      this.#rebuild();
      return undefined;
    }
  }

  /** Closes the database. Afterwards nothing is found or recorded. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#database.close();
  }
}

/** Removes a file if it exists. */
function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
