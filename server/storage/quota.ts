/**
 * The quota of a storage. Every write reserves its bytes in advance, so that uploads that run at the same time cannot
 * exceed the quota together.
 *
 * Nothing here does I/O. Sizes are in bytes.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { assertNumbers } from "../../lib/core/number_options.ts";
import { formatSize } from "../../lib/core/quantities.ts";

/** The limits of a {@linkcode Quota}. */
export interface QuotaLimits {
  /** The maximum size of a file, in bytes. Default: undefined, no limit. */
  maxFileSize?: number | undefined;
  /** The maximum total size of all files and partial uploads, in bytes. Default: undefined, no limit. */
  quota?: number | undefined;
}

/** The bytes that a write has reserved. Disposal releases them unless the reservation was settled. */
export interface Reservation extends Disposable {
  /**
   * Reserves more if the write turns out larger than announced.
   *
   * @param size the total number of bytes written
   * @throws {FerryError} `too_large`, `quota`
   */
  grow(size: number): void;
  /** Ends the reservation: `kept` bytes of it stay in use, the rest is released. Only the first call has an effect. */
  settle(kept: number): void;
}

/** The attributes of a file that the quota needs. */
export interface CountedFile {
  /** Whether it is a regular file. Only regular files are counted. */
  isFile: boolean;
  /** Its size in bytes. */
  size: number;
  /** The number of hard links; null if the system does not report it. */
  nlink: number | null;
  /** The number of the device that it is on. */
  dev: number;
  /** Its inode number; null if the system has none. */
  ino: number | null;
}

/** Counts the bytes in use in a storage. A file with several hard links counts once. */
export class Quota {
  readonly #limits: QuotaLimits;
  /**
   * {@linkcode Quota.clear} replaces this object, so that earlier reservations settle with the old count and not the
   * new one.
   */
  #account = { used: 0 };
  /** For files with several hard links: how many of the links are in the storage, by device and inode. */
  readonly #names = new Map<string, number>();

  /**
   * A quota with nothing in use.
   *
   * @throws {FerryError} `usage` for a limit that is not a number of bytes
   */
  constructor(limits: QuotaLimits) {
    const { maxFileSize, quota } = limits;
    assertNumbers({ maxFileSize, quota });
    this.#limits = limits;
  }

  /** Whether the total size is limited. */
  get isLimited(): boolean {
    return this.#limits.quota !== undefined;
  }

  /** The maximum total size; undefined if it is not limited. */
  get limit(): number | undefined {
    return this.#limits.quota;
  }

  /** How many bytes are in use or reserved. */
  get used(): number {
    return this.#account.used;
  }

  /** Starts again with nothing in use. Earlier reservations no longer count. */
  clear(): void {
    this.#account = { used: 0 };
    this.#names.clear();
  }

  /** Adds bytes to those in use. A negative number subtracts. */
  count(bytes: number): void {
    add(this.#account, bytes);
  }

  /** Counts a file that was found under one of its names. It may be found again under its other hard links. */
  found(file: CountedFile): void {
    if (!file.isFile) return;
    const { several, key, size } = namesOf(file);
    const known = several ? this.#names.get(key) ?? 0 : 0;
    if (several) this.#names.set(key, known + 1);
    if (known === 0) this.count(size);
  }

  /** Counts that a file, which has been counted, has got another name. `file` describes it before that. */
  linked(file: CountedFile): void {
    if (!file.isFile || !this.isLimited) return;
    const { key } = namesOf(file);
    this.#names.set(key, (this.#names.get(key) ?? file.nlink ?? 1) + 1);
  }

  /**
   * Counts that a file has lost one of its names. `file` describes it before that. Hard links that another program has
   * added since the file was found are assumed to be in the storage.
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
   * Reserves the bytes that a write will need.
   *
   * @param size the announced size; null for a stream, which reserves bytes as it grows
   * @param held how many of these bytes are already counted as a partial upload
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
