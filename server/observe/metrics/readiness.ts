/**
 * Whether a server can do its work at the moment.
 *
 * @module
 */

import { type Clock, sleep } from "../../../lib/core/clock.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { formatSize } from "../../../lib/core/quantities.ts";
import type { Storage } from "../../storage/storage.ts";
import type { StorageUsage } from "../../storage/usage.ts";

/** For how long an answer of the storage is used, in milliseconds: nothing is lost if it is asked often. */
const KEPT_MS = 1000;

/** How long the answer of a storage is waited for, in milliseconds. */
const PATIENCE_MS = 3000;

/** A file system with less than this part, and less than this many bytes free, counts as full. */
const FULL = { part: 0.01, bytes: 64 * 1024 * 1024 };

/** What is known of the storage. */
interface StorageState {
  /** Why nothing can be served; undefined if all is well. */
  readonly failure?: FerryError;
  /** What it holds, if it says so. */
  readonly usage?: StorageUsage | undefined;
}

/** Looks after the storage of a server. */
export class Readiness {
  readonly #storage: Storage;
  readonly #clock: Clock;
  #looking: Promise<StorageState> = Promise.resolve({});
  /** Until when that is used, on the monotonic clock; infinite while it is being asked. */
  #kept = -Infinity;
  #draining = false;

  /** Looks after a storage whenever it is asked. */
  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Says that the server takes no more connections. */
  drain(): void {
    this.#draining = true;
  }

  /** Why the server takes no work at the moment, as an English clause; undefined if it is ready. Never fails. */
  async obstacle(): Promise<string | undefined> {
    if (this.#draining) return "it is being shut down";
    const { failure, usage } = await this.look();
    return failure?.message ?? (usage && fullness(usage));
  }

  /** What is known of the storage; at most a second old. Never fails. */
  async look(): Promise<StorageState> {
    if (this.#clock.monotonic() > this.#kept) {
      this.#kept = Infinity;
      this.#looking = this.#look();
    }
    const patience = new AbortController();
    const silent = sleep(this.#clock, PATIENCE_MS, patience.signal).then(
      () => ({ failure: new FerryError("timeout", "the storage has not answered for seconds") }),
      () => ({}),
    );
    const state = await Promise.race([this.#looking, silent]);
    patience.abort();
    return state;
  }

  async #look(): Promise<StorageState> {
    try {
      await this.#storage.assertServing();
      return { usage: await this.#storage.usage?.() };
    } catch (error) {
      return { failure: toFerryError(error) };
    } finally {
      this.#kept = this.#clock.monotonic() + KEPT_MS;
    }
  }
}

/** Why no more files can be stored; undefined if they can. */
function fullness({ disk, quota }: StorageUsage): string | undefined {
  if (quota && quota.used >= quota.limit) {
    return `the quota of ${formatSize(quota.limit)} is reached: remove files, or raise --quota`;
  }
  if (!disk || disk.free >= Math.min(FULL.bytes, disk.size * FULL.part)) return undefined;
  return `the file system is full: ${formatSize(disk.free)} are left`;
}
