/**
 * The quotas of a storage: that of the whole, and those of directories. A quota of directories limits what is below some
 * directories together, whoever writes there. What is there is counted when the first write comes, and again where it
 * may have become less and a write would not fit otherwise.
 *
 * Nothing here does I/O by itself. Sizes are in bytes.
 *
 * @module
 */

import type { Clock } from "../../lib/core/clock.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { Quota, Reservation } from "./quota.ts";

/** A count that is older than this, in milliseconds, is made again before a write is refused because of it. */
const STALE_MS = 10_000;

/** A limit on what is below directories. */
export interface DirectoryLimit {
  /** Whose limit it is, as the error of a refused write says it: `token "ci"`. */
  readonly whose: string;
  /** The directories; "" is the root. */
  readonly directories: readonly (FileName | "")[];
  /** The most bytes below them together. */
  readonly limit: number;
}

/** A limit, and what is in use of it. */
export interface QuotaUsage {
  /** Whose limit it is; undefined for that of the whole storage. */
  readonly whose?: string | undefined;
  /** The directories that it is about; "" is the root. */
  readonly directories: readonly (FileName | "")[];
  /** The bytes that are in use or reserved; undefined as long as they are not counted. */
  readonly used: number | undefined;
  /** The most bytes. */
  readonly limit: number;
}

/** Keeps quotas of directories. */
export interface DirectoryQuotas {
  /** Replaces the limits of directories. Those that were there already, as they are now, keep their counts. */
  limit(limits: readonly DirectoryLimit[]): void;
  /** What is in use of each, and of that of the whole storage. */
  readonly usage: QuotaUsage[];
}

/** A storage that can keep quotas of directories. */
export interface LimitsDirectories {
  /** Its quotas. Default: undefined, no directory can have one. */
  readonly quotas?: DirectoryQuotas | undefined;
}

/** Counts the bytes of files and of partial uploads below directories, without those that are being written. */
export type CountBelow = (directories: readonly (FileName | "")[]) => Promise<number>;

/** The quotas of one storage. */
export class Quotas implements DirectoryQuotas {
  readonly #whole: Quota;
  readonly #count: CountBelow;
  readonly #clock: Clock;
  #accounts: Account[] = [];

  /** No quota but that of the whole storage. */
  constructor(whole: Quota, { count, clock }: { count: CountBelow; clock: Clock }) {
    this.#whole = whole;
    this.#count = count;
    this.#clock = clock;
  }

  /** See {@linkcode DirectoryQuotas.limit}. */
  limit(limits: readonly DirectoryLimit[]): void {
    this.#accounts = limits.map((limit) => {
      const known = this.#accounts.find((account) => sameLimit(account.limit, limit));
      return known ?? new Account(limit, this.#count, this.#clock);
    });
    void this.#countAll();
  }

  async #countAll(): Promise<void> {
    for (const account of this.#accounts) {
      // If it fails, it is tried again, and reported, by the first write.
      await account.prepare(0).catch(() => {});
    }
  }

  /** See {@linkcode DirectoryQuotas.usage}. */
  get usage(): QuotaUsage[] {
    const { used, limit } = this.#whole;
    const directories = this.#accounts.map((each) => ({ ...each.limit, used: each.used }));
    return limit === undefined ? directories : [{ directories: [""], used, limit }, ...directories];
  }

  /** Waits until {@linkcode Quotas.reserve} can decide about a write; the arguments are the same. */
  async prepare(name: FileName, size: number | null, held = 0): Promise<void> {
    // A stream needs a byte at least.
    for (const account of this.#of(name)) await account.prepare((size ?? held + 1) - held);
  }

  /**
   * Reserves the bytes that a write of a file needs.
   *
   * @param size the announced size; null for a stream, which reserves bytes as it grows
   * @param held how many of these bytes are already counted as a partial upload
   * @throws {FerryError} `too_large`, `quota`
   */
  reserve(name: FileName, size: number | null, held = 0): Reservation {
    using taken = new DisposableStack();
    const accounts = this.#of(name);
    const all = [this.#whole, ...accounts].map((each) => taken.use(each.reserve(size, held)));
    // A limit that is made meanwhile knows nothing of this write.
    let settled = false;
    const settle = (kept: number) => {
      if (settled) return;
      settled = true;
      for (const each of this.#of(name)) if (!accounts.includes(each)) each.add(kept);
    };
    taken.move();
    return joined([...all, { grow() {}, settle, [Symbol.dispose]: () => settle(held) }]);
  }

  /**
   * Reserves the bytes that something brings along that gets another name, in the quotas that it comes under by that.
   *
   * @param measure determines its size
   * @throws {FerryError} `quota`
   */
  async reserveMove(
    from: FileName,
    to: FileName,
    measure: () => Promise<number>,
  ): Promise<Reservation & { readonly size: number }> {
    const before = this.#of(from);
    const entered = this.#of(to).filter((account) => !before.includes(account));
    const size = entered.length > 0 ? await measure() : 0;
    for (const account of entered) await account.prepare(size);
    using taken = new DisposableStack();
    const all = entered.map((account) => taken.use(account.reserve(size)));
    taken.move();
    return { size, ...joined(all) };
  }

  /** Takes note that there may be less than was counted, because something that had that name was taken away. */
  lessened(name: FileName | ""): void {
    for (const account of this.#accounts) account.changed(name);
  }

  #of(name: FileName): Account[] {
    return this.#accounts.filter(({ limit: { directories } }) =>
      directories.some((directory) => isBelow(name, directory))
    );
  }
}

/** What is in use of one limit. */
class Account {
  readonly limit: DirectoryLimit;
  readonly #count: CountBelow;
  readonly #clock: Clock;
  /** What is stored and not being written; undefined until it is counted. */
  #stored: number | undefined;
  /** What open writes have reserved, with what was stored of these files before. */
  #reserved = 0;
  #counting: Promise<void> | undefined;
  /** What writes have stored that ended during the count; the count may have it, or not. */
  #meanwhile = 0;
  /** When it was counted, by the monotonic clock. */
  #counted = -Infinity;
  #mayBeLess = false;

  constructor(limit: DirectoryLimit, count: CountBelow, clock: Clock) {
    this.limit = limit;
    this.#count = count;
    this.#clock = clock;
  }

  get used(): number | undefined {
    return this.#stored === undefined ? undefined : this.#stored + this.#reserved;
  }

  async prepare(more: number): Promise<void> {
    const isStale = this.#mayBeLess || this.#clock.monotonic() - this.#counted > STALE_MS;
    if (this.used === undefined || isStale && this.used + more > this.limit.limit) {
      await (this.#counting ??= this.#countAnew());
    }
  }

  async #countAnew(): Promise<void> {
    this.#meanwhile = 0;
    this.#mayBeLess = false;
    try {
      this.#stored = await this.#count(this.limit.directories) + this.#meanwhile;
      this.#mayBeLess ||= this.#meanwhile > 0;
      this.#counted = this.#clock.monotonic();
    } finally {
      this.#counting = undefined;
    }
  }

  reserve(size: number | null, held = 0): Reservation {
    let taken = held;
    this.#store(-held);
    this.#reserved += held;
    const grow = (wanted: number) => {
      if (wanted <= taken) return;
      this.#assertRoom(wanted - taken);
      this.#reserved += wanted - taken;
      taken = wanted;
    };
    let settled = false;
    const settle = (kept: number) => {
      if (settled) return;
      settled = true;
      this.#reserved -= taken;
      this.#store(kept);
      this.#meanwhile += kept;
    };
    try {
      grow(size ?? 0);
    } catch (error) {
      settle(held);
      throw error;
    }
    return { grow, settle, [Symbol.dispose]: () => settle(held) };
  }

  #store(bytes: number): void {
    if (this.#stored !== undefined) this.#stored = Math.max(0, this.#stored + bytes);
  }

  #assertRoom(more: number): void {
    const { limit, whose, directories } = this.limit;
    const used = this.used ?? 0;
    if (used + more <= limit) return;
    const where = directories.map((directory) => `${directory}/`).join(", ");
    throw new FerryError(
      "quota",
      `the quota of ${whose} for ${where} is ${formatSize(limit)}: ${
        formatSize(used)
      } are in use, ` +
        `and this takes ${formatSize(more)}`,
    );
  }

  /** Takes note of bytes that were stored without a reservation here. The count may have them already. */
  add(bytes: number): void {
    this.#store(bytes);
    this.#meanwhile += bytes;
    this.#mayBeLess = true;
  }

  changed(name: FileName | ""): void {
    const { directories } = this.limit;
    if (directories.some((each) => isBelow(name, each) || isBelow(each, name))) {
      this.#mayBeLess = true;
    }
  }
}

/** Several reservations as one. */
function joined(all: readonly Reservation[]): Reservation {
  return {
    grow: (size) => all.forEach((each) => each.grow(size)),
    settle: (kept) => all.forEach((each) => each.settle(kept)),
    [Symbol.dispose]: () => all.forEach((each) => each[Symbol.dispose]()),
  };
}

function isBelow(name: FileName | "", directory: FileName | ""): boolean {
  return directory === "" || name === directory || name.startsWith(`${directory}/`);
}

function sameLimit(a: DirectoryLimit, b: DirectoryLimit): boolean {
  return JSON.stringify([a.whose, a.directories, a.limit]) ===
    JSON.stringify([b.whose, b.directories, b.limit]);
}
