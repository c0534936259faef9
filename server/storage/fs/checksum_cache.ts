/**
 * A cache of the checksums of files, so that an unchanged file need not be read again. An entry is valid for one inode
 * with one size and one set of times. A database that is lost or damaged is replaced by an empty one.
 *
 * Many file systems assign new inode numbers each time they are mounted, such as FUSE and network file systems.
 * Checksums of files there are kept in memory only, and are valid while that mount is known to exist.
 *
 * @module
 */

import {
  type Algorithm,
  algorithmOf,
  ALGORITHMS,
  type Checksum,
} from "../../../lib/core/checksum.ts";
import { CacheDatabase } from "./cache_database.ts";
import { CONTENT_NAMES, ContentNames } from "./content_names.ts";
import { EXPECTED_CHECKSUMS, ExpectedChecksums } from "./expected_checksums.ts";
import { sealOfText } from "./row_seal.ts";

/** What has to stay the same for a cached checksum to be valid. */
export interface FileIdentity {
  /**
   * Device and inode; on a file system that may give them to another file, also the mount and the name. Empty if the
   * system has no inode numbers, or if one mount cannot be told from the next: nothing is cached then.
   */
  readonly key: string;
  /** Whether it is valid only for the present mount, and so not for the next process. Default: false. */
  readonly passing?: boolean;
  /** The size, the modification time and the change time of the inode. */
  readonly version: string;
  /** When the inode was created, in milliseconds since 1970. Default: undefined, that is not known. */
  readonly born?: number | undefined;
}

/** The file attributes that make up an identity. */
export type IdentifyingFacts =
  & Pick<Deno.FileInfo, "dev" | "ino" | "size" | "mtime" | "ctime">
  & Partial<Pick<Deno.FileInfo, "birthtime">>;

/**
 * The identity of a file. Its precision is that of the runtime's times: a millisecond for the modification time, a
 * second for the inode's change time.
 */
export function identityOf(
  { dev, ino, size, mtime, ctime, birthtime }: IdentifyingFacts,
): FileIdentity {
  const key = ino === null ? "" : `${dev}:${ino}`;
  const born = birthtime?.getTime();
  // The change time is part of it because a program can set the modification time back, but not the change time.
  return { key, version: `${size}:${mtime?.getTime()}:${ctime?.getTime()}`, born };
}

/** The precision of the change time, in milliseconds. */
const CHANGE_TIME_MS = 1000;

/**
 * Whether a file is the one that had another version, and only its change time is another now. Names, permission bits
 * and hard links change that, too. A new file that got the inode, the size and the modification time of a removed one
 * was created after the last change of that.
 */
function differsInChangeTime({ version, born }: FileIdentity, before: string): boolean {
  const [now, then] = [version, before].map((text) => /^(\d+:-?\d+):(-?\d+)$/.exec(text));
  if (!now || !then || born === undefined || now[1] !== then[1]) return false;
  return born < Number(then[2]) + CHANGE_TIME_MS;
}

/** Whether the bytes of a file should be those that it had as another version, or as the same. */
function isSameContent(identity: FileIdentity, before: string): boolean {
  return before === identity.version || differsInChangeTime(identity, before);
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS checksums (
    key TEXT NOT NULL, algorithm TEXT NOT NULL, version TEXT NOT NULL, checksum TEXT NOT NULL,
    seal TEXT NOT NULL, PRIMARY KEY (key, algorithm)
  ) WITHOUT ROWID;
`;

const STATEMENTS = {
  select: "SELECT version, checksum, seal FROM checksums WHERE key = ? AND algorithm = ?",
  insert: "INSERT OR REPLACE INTO checksums VALUES (?, ?, ?, ?, ?)",
  remove: "DELETE FROM checksums WHERE key = ?",
};

/** The seal of a row. */
function sealOf({ key, version }: FileIdentity, checksum: Checksum): string {
  // The word marks the rule by which a row was recorded: ferry 0.1.0 used another rule, and its rows are not valid.
  return sealOfText(`settled ${key} ${version} ${checksum}`);
}

/** The maximum number of checksums kept that are valid only for a mount. The oldest are dropped. */
const MAX_PASSING = 65_536;

/**
 * How many checksums are written to the database at a time, at most, and for how long they are collected in
 * milliseconds: writing one by itself takes longer than reading a small file. A checksum that took longer to compute is
 * written at once.
 */
const BATCH = { count: 256, time: 1000 };

/** A checksum that is not in the database yet. */
interface PendingRow {
  readonly key: string;
  readonly algorithm: Algorithm;
  readonly version: string;
  readonly checksum: Checksum;
  readonly seal: string;
}

/** Options of {@linkcode ChecksumCache}. */
export interface ChecksumCacheOptions {
  /** The device on which inode numbers are permanent. Default: undefined, none. */
  device?: number | undefined;
  /**
   * Returns an id of the present mount of any other device, to tell it from earlier and later mounts with the same
   * device number; undefined if it cannot be identified. Default: undefined, no mount can be identified.
   */
  mountOf?: ((device: number) => string | undefined) | undefined;
  /** Whether other processes use the database, too. Default: false. */
  shared?: boolean | undefined;
}

/** The cache, in an SQLite database. */
export class ChecksumCache implements Disposable {
  #device: number | undefined;
  readonly #mountOf: (device: number) => string | undefined;
  /** The checksums that are valid only for a mount, by algorithm and key. */
  readonly #passing = new Map<string, { version: string; checksum: Checksum }>();
  /** What is written to the database together, by algorithm and key. */
  readonly #pending = new Map<string, PendingRow>();
  /** When something was written last, in milliseconds since the process began. */
  #flushed = -Infinity;
  #closed = false;
  readonly #database: CacheDatabase;
  /** The names of contents, in the same database. */
  readonly names: ContentNames;
  readonly #expected: ExpectedChecksums;
  /** The checksums that are being computed, by algorithm and identity. */
  readonly #computing = new Map<string, Promise<Checksum>>();

  private constructor(
    database: CacheDatabase,
    { device, mountOf = () => undefined }: ChecksumCacheOptions,
  ) {
    this.#database = database;
    this.names = new ContentNames(database);
    this.#expected = new ExpectedChecksums(database);
    this.#device = device;
    this.#mountOf = mountOf;
  }

  /** Opens the database, or creates it; without a path it is kept in memory. */
  static open(path?: string, options: ChecksumCacheOptions = {}): ChecksumCache {
    return new ChecksumCache(
      CacheDatabase.open(path, {
        schema: SCHEMA + CONTENT_NAMES.schema + EXPECTED_CHECKSUMS.schema,
        statements: {
          ...STATEMENTS,
          ...CONTENT_NAMES.statements,
          ...EXPECTED_CHECKSUMS.statements,
        },
        shared: options.shared,
      }),
      options,
    );
  }

  /** The identity of a file: what has to stay the same for its cached checksum to be valid. */
  identify(info: IdentifyingFacts, name: string): FileIdentity {
    const identity = identityOf(info);
    if (info.dev === this.#device || identity.key === "") return identity;
    const mount = this.#mountOf(info.dev);
    const key = mount === undefined ? "" : `${mount}:${identity.key}:${name}`;
    return { ...identity, key, passing: true };
  }

  /** Switches to another database after another program has removed the present one. */
  moveTo(path: string): void {
    this.#database.moveTo(path);
  }

  /** Forgets everything and switches to another database, after a remount. */
  beginAnew(path: string, device: number | undefined): void {
    this.#device = device;
    this.#passing.clear();
    this.#pending.clear();
    this.#expected.clear();
    this.#computing.clear();
    this.moveTo(path);
  }

  /** The checksum of a file, or null if none is known for exactly this state of the file. */
  lookup(identity: FileIdentity, algorithm: Algorithm): Checksum | null {
    if (identity.key === "") return null;
    if (identity.passing) {
      const known = this.#passing.get(`${algorithm} ${identity.key}`);
      return known?.version === identity.version ? known.checksum : null;
    }
    const row = this.#pending.get(`${algorithm} ${identity.key}`) ??
      this.#database.get(STATEMENTS.select, identity.key, algorithm);
    if (row?.version !== identity.version) return null;
    const checksum = String(row.checksum);
    return row.seal === sealOf(identity, checksum) ? checksum : null;
  }

  /**
   * The checksum that the bytes of a file should have: that of its upload, or the first one that was recorded since its
   * size and its modification time are what they are; null if none is known. Its name or its permission bits may have
   * changed meanwhile.
   */
  expected(identity: FileIdentity): Checksum | null {
    const { key, passing } = identity;
    const first = key === "" || passing ? undefined : this.#expected.find(key);
    if (first && isSameContent(identity, first.version)) return first.checksum;
    for (const algorithm of ALGORITHMS) {
      const known = this.lookup(identity, algorithm);
      if (known !== null) return known;
    }
    return null;
  }

  /**
   * The checksum of a file, computed by `compute`. Callers that ask while it is being computed share the result: a
   * large file may take longer to read than a client waits, and the client asks again.
   *
   * @param compute has to call `close` when it has read the file; later callers do not share the result, since the
   * content may have changed
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

  /**
   * Records checksums of files. What is {@linkcode ChecksumCache.expected} of a file stays the same. Those that were
   * recorded within a second after others may be lost if the process is killed.
   */
  record(files: readonly { identity: FileIdentity; checksum: Checksum }[]): void {
    for (const { identity, checksum } of files) {
      const { key, version, passing } = identity;
      if (key === "" || this.#closed) continue;
      const algorithm = algorithmOf(checksum)!;
      if (passing) this.#pass(`${algorithm} ${key}`, { version, checksum });
      else {
        // What is expected stays so, however often a damaged file is read.
        if (this.expected(identity) === null) this.#expected.add(key, { version, checksum });
        const row = { key, algorithm, version, checksum, seal: sealOf(identity, checksum) };
        this.#pending.set(`${algorithm} ${key}`, row);
      }
    }
    const { count, time } = BATCH;
    const isDue = this.#pending.size >= count || performance.now() - this.#flushed >= time;
    if (isDue) this.#flush();
  }

  #flush(): void {
    if (this.#pending.size === 0) return;
    const rows = [...this.#pending.values()].map(({ key, algorithm, version, checksum, seal }) => {
      return [key, algorithm, version, checksum, seal];
    });
    this.#pending.clear();
    this.#database.runAll(STATEMENTS.insert, rows);
    this.#flushed = performance.now();
  }

  #pass(key: string, known: { version: string; checksum: Checksum }): void {
    this.#passing.delete(key);
    this.#passing.set(key, known);
    if (this.#passing.size <= MAX_PASSING) return;
    const [oldest] = this.#passing.keys();
    this.#passing.delete(oldest!);
  }

  /**
   * Records that the bytes of a file should have a checksum from now on, as after its upload. A look-up does not find
   * it: a program may have changed the file right afterwards, in a way that its times do not show.
   */
  expect({ key, version, passing }: FileIdentity, checksum: Checksum): void {
    if (key !== "" && !passing && !this.#closed) this.#expected.add(key, { version, checksum });
  }

  /** Forgets a file that was removed. */
  forget({ key, passing }: FileIdentity): void {
    const kept = passing ? this.#passing : this.#pending;
    for (const algorithm of ALGORITHMS) kept.delete(`${algorithm} ${key}`);
    if (!passing) this.#database.runAll(STATEMENTS.remove, [[key]]);
  }

  /** Closes the database. Afterwards nothing is found or recorded. */
  [Symbol.dispose](): void {
    this.names.flush();
    this.#expected.flush();
    this.#flush();
    this.#closed = true;
    this.#database[Symbol.dispose]();
  }
}
