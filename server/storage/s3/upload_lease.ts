/**
 * The right of one writer to a partial upload. It lasts as long as its holder keeps rewriting its record, which it does
 * while bytes come; whoever finds that it does not takes the upload over with a record of the next generation.
 *
 * @module
 */

import type { Clock, Timer } from "../../../lib/core/clock.ts";
import { sleep } from "../../../lib/core/clock.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { LEASE_MS, type Recorded, type StoredRecord, UploadRecords } from "./upload_records.ts";

/** The interval at which an active holder rewrites its record, in milliseconds. */
const RENEW_MS = 3000;

/**
 * A holder that began to write its record less than this ago, in milliseconds, still has the upload: the clocks of
 * stores tell seconds.
 */
const SAFE_MS = LEASE_MS - 3000;

/** The interval at which the record of a holder is read by who waits for it, in milliseconds. */
const POLL_MS = 500;

/**
 * How long a writer waits that has taken an upload over on a store without conditional PUT, in milliseconds, before it
 * looks whether another one has done the same.
 */
const SETTLE_MS = 1500;

/** What a lease needs. */
export interface LeaseOptions {
  /** The bucket, and what is known of the store. */
  served: ServedBucket;
  /** The records of the bucket. */
  records: UploadRecords;
  /** Whether bytes came since the last call. A lease whose holder has stalled is not renewed. */
  isActive(): boolean;
  /** What there is to record. */
  current(): Recorded;
}

/** The lease on one partial upload. Only its holder writes the records of its generation. */
export class UploadLease {
  /** The id of the partial upload. */
  readonly id: string;
  /** The generation of the holder. */
  readonly generation: number;
  readonly #options: LeaseOptions;
  readonly #clock: Clock;
  readonly #holder: string;
  /** When the last successful write of the record began, by the monotonic clock; undefined if there is no record. */
  #renewed: number | undefined;
  #writing: Promise<void> | undefined;
  /** The write after that. */
  #next: Promise<void> | undefined;
  #isStopped = false;
  #timer: Timer | undefined;
  #isLost = false;

  private constructor(id: string, generation: number, holder: string, options: LeaseOptions) {
    this.id = id;
    this.generation = generation;
    this.#holder = holder;
    this.#options = options;
    this.#clock = options.served.runtime.clock;
  }

  /** The lease on a new upload, of which nothing is recorded yet. */
  static create(id: string, options: LeaseOptions): UploadLease {
    return new UploadLease(id, 1, crypto.randomUUID(), options);
  }

  /**
   * Takes an upload over after its last holder.
   *
   * @returns undefined if another writer was faster
   */
  static async take(
    { id, generation, record, etag }: StoredRecord,
    options: LeaseOptions,
  ): Promise<UploadLease | undefined> {
    const { served: { engine, runtime: { clock } }, records } = options;
    const holder = crypto.randomUUID();
    const lease = new UploadLease(id, generation + 1, holder, options);
    const began = clock.monotonic();
    const ifAbsent = engine.conditionalPut;
    if (!ifAbsent && await records.read(lease)) return undefined;
    const taken = { ...record, holder, renewed: clock.now() };
    if (!await records.write(lease, taken, { ifAbsent })) return undefined;
    if (!ifAbsent) {
      await sleep(clock, SETTLE_MS);
      if ((await records.read(lease))?.record.holder !== holder) return undefined;
    }
    if ((await records.read({ id, generation }))?.etag !== etag) {
      // The last holder is there after all, or another writer has gone on meanwhile.
      await records.removeOne(lease);
      return undefined;
    }
    lease.#renewed = began;
    lease.#renewLater();
    // Only the latest record counts. The tail of the last holder may still be needed.
    await records.removeOne({ id, generation });
    return lease;
  }

  /** Whether the record exists. */
  get isRecorded(): boolean {
    return this.#renewed !== undefined;
  }

  /** Whether another writer was found to have taken the upload over. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** How long ago the record was written, in milliseconds. */
  get age(): number {
    return this.#clock.monotonic() - (this.#renewed ?? -Infinity);
  }

  /** Whether the record is being written. */
  get isSaving(): boolean {
    return this.#writing !== undefined;
  }

  /**
   * Writes the record, which also renews the lease. Calls while it is being written share the next write, which records
   * what there is by then. It does nothing any more when the lease was stopped.
   *
   * @throws {FerryError} `busy` if another writer has taken the upload over
   */
  save(): Promise<void> {
    return this.#next ??= this.#saveNext();
  }

  async #saveNext(): Promise<void> {
    await this.#writing?.catch(() => {});
    this.#next = undefined;
    if (this.#isStopped) return;
    this.#writing = this.#save(this.#holder);
    try {
      await this.#writing;
    } finally {
      this.#writing = undefined;
    }
    this.#renewLater();
  }

  async #save(holder: string | undefined): Promise<void> {
    await this.#assertHeld();
    const began = this.#clock.monotonic();
    const record = { ...this.#options.current(), holder, renewed: this.#clock.now() };
    await this.#options.records.write(this, record, { ifAbsent: false });
    this.#renewed = began;
  }

  /** Looks whether the upload was taken over, unless that cannot have happened yet. */
  async #assertHeld(): Promise<void> {
    if (!this.#isLost && this.isRecorded && this.age > SAFE_MS) {
      this.#isLost = !await this.#options.records.isLatest(this);
    }
    if (this.#isLost) throw takenOver();
  }

  /**
   * Makes sure that the upload is still the holder's, for at least three more seconds.
   *
   * @throws {FerryError} `busy` if another writer has taken it over
   */
  async assure(): Promise<void> {
    if (this.#isLost) throw takenOver();
    if (this.isRecorded && this.age > SAFE_MS) await this.save();
  }

  #renewLater(): void {
    this.#clock.clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = this.#clock.setTimeout(() => {
      if (!this.#options.isActive()) this.#renewLater();
      // If the store does not answer, the next use of the lease tells so.
      else this.save().catch(() => this.#isLost || this.#renewLater());
    }, RENEW_MS);
  }

  /** Stops renewing, and waits until the record is not being written any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#clock.clearTimeout(this.#timer);
    await this.#writing?.catch(() => {});
  }

  /**
   * Writes the record for the last time: the upload may be taken over at once. Call {@linkcode UploadLease.stop} first.
   *
   * @throws {FerryError} `busy` if another writer has taken the upload over
   */
  async release(): Promise<void> {
    await this.#save(undefined);
  }

  /**
   * Makes sure before a last change, such as the removal of the upload, that it is the holder's to change.
   *
   * @throws {FerryError} `busy` if another writer has taken the upload over
   */
  async assertMine(): Promise<void> {
    await this.#assertHeld();
  }
}

/**
 * Waits until a partial upload has no holder that renews its lease.
 *
 * @returns the latest record; undefined if it is held, or the upload has ended
 */
export async function waitForHolder(
  stored: StoredRecord,
  { served, records }: Pick<LeaseOptions, "served" | "records">,
): Promise<StoredRecord | undefined> {
  const { id, generation, etag } = stored;
  for (let seen: StoredRecord | undefined = stored; seen; seen = await records.latest(id)) {
    if (!seen.isHeld) return seen;
    if (seen.generation !== generation || seen.etag !== etag) return undefined;
    await sleep(served.runtime.clock, POLL_MS, served.closing);
  }
  return undefined;
}

function takenOver(): FerryError {
  return new FerryError("busy", "another connection goes on with this upload");
}
