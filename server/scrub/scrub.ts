/**
 * Scrubbing: reads all stored files in the background, again and again, and compares them with the checksums that were
 * recorded when they were stored, so that damage on the disk is found while there is still a good copy elsewhere.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { sleep } from "../../lib/core/clock.ts";
import type { Listed } from "../../lib/core/entry.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { compareInTree } from "../../lib/core/name_order.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Records } from "../files/records.ts";
import { reread } from "../files/reread.ts";
import { logFailure } from "../observe/failures.ts";
import type { Storage, StoredFile } from "../storage/storage.ts";
import { ReadingPace } from "./reading_pace.ts";
import { newPass, type Pass, ScrubRecord, type ScrubState } from "./scrub_state.ts";

const logger = getLogger(["ferry", "server"]);

/**
 * How often the clock is looked at while nothing is due, how often the state is saved while files are read, and how
 * long a failure of the storage is waited for, in milliseconds.
 */
const POLL_MS = 60_000;

/** A server that has not saved the state for this long, in milliseconds, does not scrub any more. */
const ABANDONED_MS = 5 * POLL_MS;

/** Options of {@linkcode Scrub}. */
export interface ScrubOptions {
  /** What is read. */
  storage: Storage;
  /** Computes digests, and has the clock. */
  runtime: Runtime;
  /** Where the state is kept. */
  records: Pick<Records, "read" | "write">;
  /** How long it is from the beginning of a pass to that of the next one, in milliseconds. */
  interval: number;
  /** How many bytes a second are read at most; 0 for any number. */
  rate: number;
}

/** Scrubs a storage until it is disposed of. */
export class Scrub implements AsyncDisposable {
  readonly #options: ScrubOptions;
  readonly #record: ScrubRecord;
  readonly #pace: ReadingPace;
  readonly #server = crypto.randomUUID();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #state: ScrubState = { current: null, last: null };
  /** When the state was saved last, on the monotonic clock. */
  #saved = 0;

  private constructor(options: ScrubOptions) {
    const { records, runtime: { clock }, rate } = options;
    this.#options = options;
    this.#record = new ScrubRecord(records);
    this.#pace = new ReadingPace(clock, rate);
    this.#running = this.#run();
  }

  /** Starts it. What goes wrong is logged; it never fails. */
  static start(options: ScrubOptions): Scrub {
    return new Scrub(options);
  }

  /** What it has found so far. */
  get state(): Readonly<ScrubState> {
    return this.#state;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock } = this.#options.runtime;
    while (!signal.aborted) {
      try {
        await this.#untilDue();
        await this.#pass();
      } catch (error) {
        if (signal.aborted) break;
        const failure = toFerryError(error).during("scrub the files");
        logFailure("{message} ({code}). It goes on in a minute", failure, { level: "warn" });
        await sleep(clock, POLL_MS, signal).catch(() => {});
      }
    }
    if (this.#state.current) await this.#save(null);
  }

  /** Waits until a pass has to be begun, or gone on with. */
  async #untilDue(): Promise<void> {
    const { interval, runtime: { clock } } = this.#options;
    const began = clock.monotonic();
    for (;;) {
      const { server, saved, current, last } = await this.#record.read();
      this.#state = { current, last };
      const now = clock.now();
      if (current) {
        const isOurs = server === null || server === this.#server;
        if (isOurs || Math.abs(now - saved) > ABANDONED_MS) return;
        await sleep(clock, POLL_MS, this.#stop.signal);
        continue;
      }
      if (!last) return;
      // The time of day may be set back, so that a moment long ago is one to come.
      const left = Math.min(
        last.started + interval - now,
        began + interval - clock.monotonic(),
      );
      if (left <= 0) return;
      await sleep(clock, Math.min(left, POLL_MS), this.#stop.signal);
    }
  }

  /** Reads all that comes after the position of the present pass. */
  async #pass(): Promise<void> {
    const { storage, runtime: { clock } } = this.#options;
    const { signal } = this.#stop;
    const pass = this.#state.current ??= newPass(clock.now());
    await this.#save(this.#server);
    for await (const listed of storage.list("", { recursive: true, omitted: true })) {
      signal.throwIfAborted();
      const { filename } = listed;
      if (compareInTree(filename, pass.position) <= 0) continue;
      await this.#check(listed, pass);
      pass.position = filename;
      if (clock.monotonic() - this.#saved > POLL_MS) await this.#save(this.#server);
    }
    pass.ended = clock.now();
    this.#state = { current: null, last: pass };
    await this.#save(null);
    this.#report(pass);
  }

  async #check(listed: Listed, pass: Pass): Promise<void> {
    const { filename, omitted } = listed;
    if (omitted instanceof FerryError) {
      if (omitted.code === "io" || omitted.code === "denied") {
        await this.#unreadable(filename, omitted, pass);
      }
    } else if (listed.type === "file") await this.#read(filename as FileName, pass);
  }

  async #read(name: FileName, pass: Pass): Promise<void> {
    const { storage, runtime } = this.#options;
    const { signal } = this.#stop;
    let file: StoredFile | undefined;
    this.#pace.begin();
    try {
      file = await storage.open(name, "md5");
      const pause = (bytes: number) => this.#pace.rest(bytes, signal);
      const { verdict } = await reread(runtime, file, { pause });
      pass.files++;
      pass.bytes += file.entry.size;
      if (verdict === "unrecorded") pass.unrecorded++;
      if (verdict === "damaged") pass.damaged++;
    } catch (error) {
      signal.throwIfAborted();
      if (!await this.#isThere(name, file)) return;
      await this.#unreadable(name, toFerryError(error), pass);
    } finally {
      await file?.[Symbol.asyncDispose]();
    }
  }

  /** Whether a file that could not be read is still the same: neither removed nor changed meanwhile. */
  async #isThere(name: FileName, opened: StoredFile | undefined): Promise<boolean> {
    const { storage } = this.#options;
    const now = await storage.find(name);
    if (now?.type !== "file") return false;
    return !opened || now.size === opened.entry.size && now.mtime === opened.entry.mtime;
  }

  /** Reports what could not be read, unless nothing can be read. */
  async #unreadable(name: string, failure: FerryError, pass: Pass): Promise<void> {
    await this.#options.storage.assertServing();
    pass.unreadable++;
    const { message, code } = failure.during(`read ${quote(name)}`);
    logger.error("{message} ({code})", { message, code });
  }

  async #save(server: string | null): Promise<void> {
    const { clock } = this.#options.runtime;
    this.#saved = clock.monotonic();
    try {
      await this.#record.write({ ...this.#state, server, saved: clock.now() });
    } catch (error) {
      // On a full disk, damage has to be found all the same.
      logFailure("{message} ({code})", toFerryError(error).during("keep how far scrubbing is"));
    }
  }

  #report({ started, ended, ...found }: Pass): void {
    const { interval } = this.#options;
    const { files, bytes, damaged, unreadable } = found;
    logger.info(
      "Scrubbed {files} files, {size}: {damaged} damaged, {unreadable} not readable",
      { files, size: formatSize(bytes), damaged, unreadable },
    );
    if (ended! - started <= interval) return;
    logger.warn("Scrubbing took longer than --scrub says: raise --scrub-rate, or that time");
  }

  /** Stops it, and keeps how far it was. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
