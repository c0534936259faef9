/**
 * Remembers the checksums of files, so that an unchanged file need not be read to tell it. A cache and no
 * more: an entry holds for one inode with one size and times, and a database that is lost or broken is
 * begun anew.
 *
 * @module
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Algorithm, algorithmOf, type Checksum } from "./checksum.ts";

/** What must be the same for a remembered checksum to hold. */
export interface FileIdentity {
  /**
   * Device and inode, and the name where these may be those of another file, too; empty where the system tells
   * none, and then nothing is remembered.
   */
  readonly key: string;
  /** Size, and the times of the last change of content and of inode. */
  readonly version: string;
}

/** What an identity is made of. */
export type IdentifyingFacts = Pick<Deno.FileInfo, "dev" | "ino" | "size" | "mtime" | "ctime">;

/**
 * The identity of a file. It is as exact as what the runtime tells: the modification time to a
 * millisecond, the time of the inode's last change to a second.
 *
 * @param name the file's name, where device and inode may be those of another file, too
 */
export function identityOf(
  { dev, ino, size, mtime, ctime }: IdentifyingFacts,
  name?: string,
): FileIdentity {
  const numbers = ino === null ? "" : `${dev}:${ino}`;
  const key = numbers === "" || name === undefined ? numbers : `${numbers}:${name}`;
  // The change time is in it because a program can set the modification time back, but not this one.
  return { key, version: `${size}:${mtime?.getTime()}:${ctime?.getTime()}` };
}

// Nobody else has the database. Where SQLite knows that, it keeps the index of its log in memory of its own, and
// not in a mapped file: what is mapped ends the process where a full disk has no room for the page.
const SCHEMA = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA mmap_size = 0;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  CREATE TABLE IF NOT EXISTS checksums (
    key TEXT NOT NULL, algorithm TEXT NOT NULL, version TEXT NOT NULL, checksum TEXT NOT NULL,
    seal TEXT NOT NULL, PRIMARY KEY (key, algorithm)
  ) WITHOUT ROWID;
`;

/**
 * SQLite does not notice a flipped bit inside a row; this does: FNV-1a of 32 bits, twice, the second time
 * begun elsewhere.
 */
function sealOf({ key, version }: FileIdentity, checksum: Checksum): string {
  // The word tells rows by which rule they were recorded: 0.1.0 had another one.
  const text = `settled ${key} ${version} ${checksum}`;
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x01000193);
  }
  return `${(a >>> 0).toString(16)}:${(b >>> 0).toString(16)}`;
}

/** Options of {@linkcode DigestIndex}. */
export interface DigestIndexOptions {
  /** The device on which an inode number stands for one file. On others a file's name counts, too. Default: none. */
  device?: number | undefined;
}

/** Checksums by file identity, in an SQLite database. */
export class DigestIndex implements Disposable {
  readonly #path: string | undefined;
  readonly #device: number | undefined;
  #database!: DatabaseSync;
  #select!: StatementSync;
  #insert!: StatementSync;
  #delete!: StatementSync;
  #closed = false;
  /** The checksums that are being computed, by what they are of. */
  readonly #computing = new Map<string, Promise<Checksum>>();

  /** Opens the database, or makes it; without a path it is kept in memory. */
  constructor(path?: string, { device }: DigestIndexOptions = {}) {
    this.#path = path;
    this.#device = device;
    try {
      this.#open(path);
    } catch {
      this.#rebuild(path);
    }
  }

  /** What has to be the same for the checksum of a file to hold. */
  identify(info: IdentifyingFacts, name: string): FileIdentity {
    return info.dev === this.#device ? identityOf(info) : identityOf(info, name);
  }

  #open(path?: string): void {
    // Ferry 0.1 mapped a file of this name, and a process that was killed has left it.
    if (path !== undefined) remove(`${path}-shm`);
    this.#database = new DatabaseSync(path ?? ":memory:");
    this.#database.exec(SCHEMA);
    this.#select = this.#database.prepare(
      "SELECT version, checksum, seal FROM checksums WHERE key = ? AND algorithm = ?",
    );
    this.#insert = this.#database.prepare(
      "INSERT OR REPLACE INTO checksums VALUES (?, ?, ?, ?, ?)",
    );
    this.#delete = this.#database.prepare("DELETE FROM checksums WHERE key = ?");
  }

  /**
   * Throws the database away and begins an empty one, in memory where the disk takes none. So it is too where
   * the database fails while it is in use: SQLite goes by its path, and that may lead elsewhere by then.
   */
  #rebuild(path?: string): void {
    try {
      this.#database?.close();
    } catch {
      // It was not open.
    }
    try {
      for (const suffix of ["", "-wal"]) {
        if (this.#path !== undefined) remove(this.#path + suffix);
      }
      this.#open(path);
    } catch {
      this.#open();
    }
  }

  /** Runs a query; a database that fails at it is rebuilt, and the query has no result. */
  #query<T>(query: () => T): T | undefined {
    if (this.#closed) return undefined;
    try {
      return query();
    } catch {
      this.#rebuild();
      return undefined;
    }
  }

  /** The checksum of a file, or null where it is not known for exactly this state of it. */
  lookup(identity: FileIdentity, algorithm: Algorithm): Checksum | null {
    if (identity.key === "") return null;
    const row = this.#query(() => this.#select.get(identity.key, algorithm));
    if (row?.version !== identity.version) return null;
    const checksum = String(row.checksum);
    return row.seal === sealOf(identity, checksum) ? checksum : null;
  }

  /**
   * The checksum of a file that `compute` gives; it is asked once where several want to know it meanwhile. A
   * large file takes longer to read than a client waits, and that asks again.
   *
   * @param compute calls `close` when it comes to know what the file was: who asks later may mean another content
   */
  computeOnce(
    { key, version }: FileIdentity,
    algorithm: Algorithm,
    compute: (close: () => void) => Promise<Checksum>,
  ): Promise<Checksum> {
    const subject = `${algorithm} ${key} ${version}`;
    const joined = this.#computing.get(subject);
    if (joined) return joined;
    const close = () => {
      if (this.#computing.get(subject) === computing) this.#computing.delete(subject);
    };
    const computing: Promise<Checksum> = Promise.resolve().then(() => compute(close)).finally(
      close,
    );
    if (key !== "") this.#computing.set(subject, computing);
    return computing;
  }

  /** Remembers checksums of files. */
  record(files: readonly { identity: FileIdentity; checksum: Checksum }[]): void {
    this.#query(() => {
      const several = files.length > 1;
      if (several) this.#database.exec("BEGIN");
      for (const { identity, checksum } of files) {
        const { key, version } = identity;
        if (key === "") continue;
        const algorithm = algorithmOf(checksum)!;
        this.#insert.run(key, algorithm, version, checksum, sealOf(identity, checksum));
      }
      if (several) this.#database.exec("COMMIT");
    });
  }

  /** Forgets a file that is gone. */
  forget({ key }: FileIdentity): void {
    this.#query(() => this.#delete.run(key));
  }

  /** Closes the database; nothing is known or remembered any more. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#database.close();
  }
}

/** Removes a file, unless it is gone already. */
function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
