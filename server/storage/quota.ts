/**
 * The quota of a storage: an account that every write takes its bytes from in advance, so that two uploads together
 * take no more than there is.
 *
 * Nothing here does I/O; sizes are bytes.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { assertNumbers } from "../../lib/core/number_options.ts";
import { formatSize } from "../../lib/core/quantities.ts";

/** The limits of a {@linkcode Quota}. */
export interface QuotaLimits {
  /** How large a file may be, in bytes. Default: any size. */
  maxFileSize?: number | undefined;
  /** How many bytes all files and partial uploads may have together. Default: any number. */
  quota?: number | undefined;
}

/** What a write has taken from the account. Disposal gives it back unless it was settled. */
export interface Reservation extends Disposable {
  /**
   * Takes more where more is written than was announced.
   *
   * @param size how many bytes are written in all
   * @throws {FerryError} `too_large`, `quota`
   */
  grow(size: number): void;
  /** Ends it: of what was taken, `kept` bytes stay in use. May be repeated; the first call counts. */
  settle(kept: number): void;
}

/** What the account needs to know of a file. */
export interface CountedFile {
  /** Whether it is a regular file: only those count. */
  isFile: boolean;
  /** Its size in bytes. */
  size: number;
  /** How many names it has; null where the system does not tell. */
  nlink: number | null;
  /** The device that it is on. */
  dev: number;
  /** Its inode number; null where the system has none. */
  ino: number | null;
}

/** The account of a storage. A file counts once, however many names it has. */
export class Quota {
  readonly #limits: QuotaLimits;
  /** Replaced by {@linkcode Quota.clear}: reservations settle with the account that they took from. */
  #account = { used: 0 };
  /** Of files with several names: how many of those are in the storage, by device and inode. */
  readonly #names = new Map<string, number>();

  /**
   * An account with nothing in use.
   *
   * @throws {FerryError} `usage` for a limit that is not a number of bytes
   */
  constructor(limits: QuotaLimits) {
    const { maxFileSize, quota } = limits;
    assertNumbers({ maxFileSize, quota });
    this.#limits = limits;
  }

  /** Whether there is a limit to what is in use. */
  get isLimited(): boolean {
    return this.#limits.quota !== undefined;
  }

  /** How many bytes are in use or reserved. */
  get used(): number {
    return this.#account.used;
  }

  /** Begins anew with nothing in use. Earlier reservations do not count any more. */
  clear(): void {
    this.#account = { used: 0 };
    this.#names.clear();
  }

  /** Counts bytes that are in use; a negative number is not in use any more. */
  count(bytes: number): void {
    add(this.#account, bytes);
  }

  /** Counts a file that was found by one of its names. Its other names may follow. */
  found(file: CountedFile): void {
    if (!file.isFile) return;
    const { several, key, size } = namesOf(file);
    const known = several ? this.#names.get(key) ?? 0 : 0;
    if (several) this.#names.set(key, known + 1);
    if (known === 0) this.count(size);
  }

  /**
   * Counts that a file has lost a name, which is `file` as it was before that. Where another program has given
   * it names since it was found, those are taken to be in the storage.
   */
  lost(file: CountedFile): void {
    if (!file.isFile || !this.isLimited) return;
    const { several, key, size } = namesOf(file);
    const left = several ? (this.#names.get(key) ?? file.nlink!) - 1 : 0;
    if (left > 0) {
      this.#names.set(key, left);
    } else {
      this.#names.delete(key);
      this.count(-size);
    }
  }

  /**
   * Takes what a write will need.
   *
   * @param size the announced size; null for a stream, which takes what it needs as it grows
   * @param held how many of these bytes count already, as a partial upload
   * @throws {FerryError} `too_large`, `quota`
   */
  reserve(size: number | null, held = 0): Reservation {
    const account = this.#account;
    let taken = held;
    const grow = (wanted: number) => {
      const { maxFileSize = Infinity, quota = Infinity } = this.#limits;
      if (wanted > maxFileSize) {
        throw new FerryError(
          "too_large",
          `files of more than ${formatSize(maxFileSize)} are not taken`,
        );
      }
      if (wanted <= taken) return;
      if (account.used + wanted - taken > quota) {
        throw new FerryError("quota", `disk quota of ${formatSize(quota)} reached`);
      }
      account.used += wanted - taken;
      taken = wanted;
    };
    grow(size ?? 0);
    let settled = false;
    const settle = (kept: number) => {
      if (settled) return;
      settled = true;
      add(account, kept - taken);
    };
    return { grow, settle, [Symbol.dispose]: () => settle(held) };
  }
}

function add(account: { used: number }, bytes: number): void {
  account.used = Math.max(0, account.used + bytes);
}

function namesOf({ nlink, dev, ino, size }: CountedFile) {
  return { several: nlink !== null && nlink > 1, key: `${dev}:${ino}`, size };
}
