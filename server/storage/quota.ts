/**
 * How much a storage may hold: an account from which every write takes its bytes before it gets them, so
 * that two uploads together take no more than there is.
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
  /** How large a file may be; any size unless told otherwise. */
  maxFileSize?: number | undefined;
  /** How much all files and parts of files together may take; any amount unless told otherwise. */
  quota?: number | undefined;
}

/** What a write has taken from the account. Disposal gives back what was not there before, unless it was settled. */
export interface Reservation extends Disposable {
  /**
   * Takes more where what is written has come beyond what was announced.
   *
   * @param size how much is written in all
   * @throws {FerryError} `too_large`, `quota`
   */
  grow(size: number): void;
  /** Ends it: of what was taken, `kept` bytes stay in use. May be repeated; the first call counts. */
  settle(kept: number): void;
}

/** What the account has to know of a file. */
export interface CountedFile {
  /** Whether it is a regular file; nothing else counts. */
  isFile: boolean;
  /** Its size in bytes. */
  size: number;
  /** How many names it has, where the system tells. */
  nlink: number | null;
  /** The device that it is on. */
  dev: number;
  /** What tells it from other files of the device, where the system tells. */
  ino: number | null;
}

/** The account of a storage. A file counts once, however many names it has. */
export class Quota {
  readonly #limits: QuotaLimits;
  /** Another one each time that it is begun anew. */
  #account = { used: 0 };
  /** Of files with several names: how many of those are in the storage, by device and inode. */
  readonly #names = new Map<string, number>();

  /**
   * An account from which nothing was taken yet.
   *
   * @throws {FerryError} `usage` for limits that are no numbers of bytes
   */
  constructor(limits: QuotaLimits) {
    const { maxFileSize, quota } = limits;
    assertNumbers({ maxFileSize, quota });
    this.#limits = limits;
  }

  /** Whether it matters how much is in use. */
  get isLimited(): boolean {
    return this.#limits.quota !== undefined;
  }

  /** How many bytes are in use or were taken for what is being written. */
  get used(): number {
    return this.#account.used;
  }

  /** Begins anew with nothing counted. What was taken before is of no account any more. */
  clear(): void {
    this.#account = { used: 0 };
    this.#names.clear();
  }

  /** Counts bytes that were there already, or are there no longer where it is negative. */
  count(bytes: number): void {
    add(this.#account, bytes);
  }

  /** Counts a file that was there already, by one of its names; others of its names may follow. */
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
   * @param held how much of it is counted already, since a part is there
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
