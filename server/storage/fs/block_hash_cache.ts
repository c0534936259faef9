/**
 * A cache of the hashes of the blocks of files, so that an unchanged file need not be read again for a signature. An
 * entry is valid for one inode with one size and one set of times, as in {@linkcode ChecksumCache}. The least recently
 * used ones are dropped.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { KeptHashes, MAX_HASHES_BYTES } from "../kept_hashes.ts";
import type { BlockHashes } from "../storage.ts";
import { CacheDatabase } from "./cache_database.ts";
import type { FileIdentity } from "./checksum_cache.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS hashes (
    key TEXT NOT NULL PRIMARY KEY, version TEXT NOT NULL, block INTEGER NOT NULL,
    hashes BLOB NOT NULL, seal TEXT NOT NULL, used INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS hashes_by_use ON hashes (used);
`;

const STATEMENTS = {
  select: "SELECT version, block, hashes, seal FROM hashes WHERE key = ?",
  insert: "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)",
  use: "UPDATE hashes SET used = ? WHERE key = ?",
  remove: "DELETE FROM hashes WHERE key = ?",
  length: "SELECT length(hashes) AS bytes FROM hashes WHERE key = ?",
  total: "SELECT total(length(hashes)) AS bytes, max(used) AS used FROM hashes",
  leastUsed: "SELECT key, length(hashes) AS bytes FROM hashes ORDER BY used, key LIMIT 1",
};

/** The most bytes of hashes that are kept on the disk. */
export const MAX_STORED_BYTES: number = 64 * 1024 * 1024;

/** The cache, in an SQLite database that is opened when it is first needed. */
export class BlockHashCache implements Disposable {
  #path: string | undefined;
  readonly #most: number;
  /** What is valid only for a mount. */
  readonly #passing = new KeptHashes();
  #database: CacheDatabase | undefined;
  /** How many bytes of hashes the database has. */
  #bytes = 0;
  /** When an entry was last used, as a number that counts the uses. */
  #used = 0;
  #closed = false;

  /**
   * Creates a cache; nothing is opened yet.
   *
   * @param path of the database. Undefined: it is kept in memory
   * @param most how many bytes of hashes are kept
   */
  constructor(path?: string, most: number = MAX_STORED_BYTES) {
    this.#path = path;
    this.#most = most;
  }

  #open(): CacheDatabase {
    if (this.#database) return this.#database;
    const database = this.#database = CacheDatabase.open(this.#path, {
      schema: SCHEMA,
      statements: STATEMENTS,
    });
    const total = database.get(STATEMENTS.total);
    this.#bytes = Number(total?.bytes ?? 0);
    this.#used = Number(total?.used ?? 0);
    return database;
  }

  /** The hashes of the blocks of a file; undefined if none are known for exactly this state of it. */
  lookup(identity: FileIdentity): BlockHashes | undefined {
    const { key, version, passing } = identity;
    if (key === "" || this.#closed) return undefined;
    if (passing) return this.#passing.find(key, version);
    const row = this.#open().get(STATEMENTS.select, key);
    if (row?.version !== version || !(row.hashes instanceof Uint8Array)) return undefined;
    const blocks = { block: Number(row.block), hashes: new Uint8Array(row.hashes) };
    if (row.seal !== sealOf(identity, blocks)) return undefined;
    this.#open().runAll(STATEMENTS.use, [[++this.#used, key]]);
    return blocks;
  }

  /** Records the hashes of the blocks of a file, in place of what was known of it. Too many are not recorded. */
  record(identity: FileIdentity, blocks: BlockHashes): void {
    const { key, version, passing } = identity;
    const { block, hashes } = blocks;
    if (key === "" || this.#closed || hashes.length > MAX_HASHES_BYTES) return;
    if (passing) return this.#passing.remember(key, version, blocks);
    this.#delete(key);
    const row = [key, version, block, hashes, sealOf(identity, blocks), ++this.#used];
    this.#open().runAll(STATEMENTS.insert, [row]);
    this.#bytes += hashes.length;
    while (this.#bytes > this.#most) {
      const least = this.#open().get(STATEMENTS.leastUsed);
      // The database may have been replaced by an empty one.
      if (!least) {
        this.#bytes = 0;
        return;
      }
      this.#open().runAll(STATEMENTS.remove, [[String(least.key)]]);
      this.#bytes -= Number(least.bytes);
    }
  }

  #delete(key: string): void {
    const database = this.#open();
    const known = database.get(STATEMENTS.length, key);
    if (!known) return;
    database.runAll(STATEMENTS.remove, [[key]]);
    this.#bytes -= Number(known.bytes);
  }

  /** Forgets a file. */
  forget({ key, passing }: FileIdentity): void {
    if (this.#closed || key === "") return;
    if (passing) this.#passing.forget(key);
    // A file that is removed is no reason to create a database.
    else if (this.#database) this.#delete(key);
  }

  /** Switches to another database, which is empty, after another program has removed the present one. */
  moveTo(path: string | undefined): void {
    this.#path = path;
    this.#bytes = 0;
    this.#database?.moveTo(path);
  }

  /** Forgets everything and switches to another database, after a remount. */
  beginAnew(path: string | undefined): void {
    this.#passing.clear();
    this.moveTo(path);
  }

  /** Closes the database. Afterwards nothing is found or recorded. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#database?.[Symbol.dispose]();
  }
}

/** A digest of a row, which reveals flipped bits; SQLite does not detect those. */
function sealOf(
  { key, version }: FileIdentity,
  { block, hashes }: { block: number; hashes: Uint8Array },
): string {
  const digest = createHash("sha256").update(`${key}\n${version}\n${block}\n`).update(hashes);
  return digest.digest("hex").slice(0, 32);
}
