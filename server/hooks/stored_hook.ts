/**
 * `--on-stored`: a program that is run for each upload that was acknowledged, at least once, also after a crash.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers";
import { type Clock, sleep, type Timer } from "../../lib/core/clock.ts";
import { fileError, toFerryError } from "../../lib/core/errors.ts";
import { join } from "../../lib/core/paths.ts";
import type { PublishedDirectory, StoredUpload } from "../files/upload.ts";
import type { Observer, Requester } from "../observe/operation.ts";
import { EventJournal, type JournalEntry } from "./event_journal.ts";
import type { HookCommand } from "./hook_command.ts";
import { type HookInput, inputOfPublished, inputOfStored } from "./hook_input.ts";

/** The first and the longest pause before a run is tried again, in milliseconds. Each is twice as long as the last. */
const RETRY = { first: 500, longest: 60 * 60 * 1000 };

/** After this many failed runs in a row, runs follow each other one by one, with a pause in milliseconds. */
const BROKEN = { runs: 10, pause: 1000 };

/** What the program has failed at for good is kept in this file, up to a size in bytes. */
const FAILED = { name: "failed.jsonl", limit: 64 * 1024 * 1024 };

const logger = getLogger(["ferry", "server"]);

/** Options of {@linkcode StoredHook.open}. */
export interface StoredHookOptions {
  /** The program. */
  readonly command: HookCommand;
  /** Makes the directory of the queue if it is not there, and returns its path. */
  readonly place: () => string;
  /** Whether stored files survive a loss of power, and so the queue does. */
  readonly durable: boolean;
  /** How many may run at the same time. */
  readonly jobs: number;
  /** How often the program is run for one upload until it succeeds; 0 for any number of times. */
  readonly attempts: number;
  /** How many uploads may wait. Further ones are not told. */
  readonly limit: number;
  /** The clock. */
  readonly clock: Clock;
}

/** An upload for which the program has to be run. */
interface Job {
  readonly entry: JournalEntry;
  /** How often it has been run in this process. */
  attempts: number;
}

/** Runs a program for uploads, from a queue that outlives the process. */
export class StoredHook implements Observer, AsyncDisposable {
  readonly #options: StoredHookOptions;
  readonly #journal: EventJournal;
  /** Those that can be run now, in order. */
  readonly #due = new Set<Job>();
  /** Those that are tried again later. */
  readonly #later = new Set<Timer>();
  readonly #running = new Set<Promise<void>>();
  readonly #killing = new AbortController();
  /** All that wait or run. */
  #left = 0;
  #dropped = 0;
  /** The failed runs since the last one that succeeded. */
  #failures = 0;
  #stopping = false;

  private constructor(options: StoredHookOptions, journal: EventJournal) {
    this.#options = options;
    this.#journal = journal;
    for (const entry of journal.left) this.#add(entry);
  }

  /**
   * Opens the queue, and goes on with what is in it.
   *
   * @throws {FerryError} as {@linkcode EventJournal.open}
   */
  static async open(options: StoredHookOptions): Promise<StoredHook> {
    const { place, durable } = options;
    return new StoredHook(options, await EventJournal.open(place, { durable }));
  }

  /** Resolves when the upload is in the queue. */
  async stored(file: StoredUpload, by: Requester, id: string): Promise<void> {
    // Nobody can see it yet.
    if (file.staged) return;
    await this.#enqueue(inputOfStored(file, { by, id }, this.#state));
  }

  /** Resolves when the directory is in the queue. */
  async published(directory: PublishedDirectory, by: Requester, id: string): Promise<void> {
    await this.#enqueue(inputOfPublished(directory, { by, id }, this.#state));
  }

  get #state(): { time: number; durable: boolean } {
    const { clock, durable } = this.#options;
    return { time: clock.now(), durable };
  }

  async #enqueue(input: HookInput): Promise<void> {
    const { limit } = this.#options;
    if (this.#left >= limit) {
      if (this.#dropped++ === 0) {
        logger.error(
          "{limit} uploads wait for the command of --on-stored: it is not run for further ones " +
            "until one is done",
          { limit },
        );
      }
      return;
    }
    this.#tellDropped();
    this.#left++;
    const entry = await this.#journal.append(input);
    // Starting a program takes milliseconds. The reply to the client is sent before, within a turn of the event loop.
    setImmediate(() => setImmediate(() => this.#begin(entry)));
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    logger.error("The command of --on-stored is not run for {count} uploads that came meanwhile", {
      count: this.#dropped,
    });
    this.#dropped = 0;
  }

  #add(entry: JournalEntry): void {
    this.#left++;
    this.#begin(entry);
  }

  #begin(entry: JournalEntry): void {
    this.#due.add({ entry, attempts: 0 });
    this.#next();
  }

  /** Starts as many runs as there may be. */
  #next(): void {
    const jobs = this.#failures >= BROKEN.runs ? 1 : this.#options.jobs;
    for (const job of this.#due) {
      if (this.#stopping || this.#running.size >= jobs) return;
      this.#due.delete(job);
      const run = this.#run(job).finally(() => {
        this.#running.delete(run);
        this.#next();
      });
      this.#running.add(run);
    }
  }

  async #run(job: Job): Promise<void> {
    const failure = await this.#attempt({ ...job.entry.event, attempt: ++job.attempts });
    if (this.#killing.signal.aborted) return;
    if (failure === undefined) {
      this.#failures = 0;
      return this.#end(job);
    }
    const { attempts } = this.#options;
    const { name, request } = job.entry.event;
    const properties = { name, request, failure, attempt: job.attempts };
    if (job.attempts === attempts) {
      logger.error(
        "The command of --on-stored failed for {name} [{request}] for the last time: {failure}",
        properties,
      );
      await this.#giveUp(job);
    } else {
      logger.warn(
        "The command of --on-stored failed for {name} [{request}]: {failure}",
        properties,
      );
      this.#retry(job);
    }
    if (++this.#failures < BROKEN.runs) return;
    await sleep(this.#options.clock, BROKEN.pause, this.#killing.signal).catch(() => {});
  }

  /** Runs the program once. Returns why it failed; undefined if it succeeded. */
  async #attempt(input: HookInput): Promise<string | undefined> {
    try {
      return (await this.#options.command.run(input, this.#killing.signal)).failure;
    } catch (error) {
      return toFerryError(error).reason;
    }
  }

  #retry(job: Job): void {
    if (this.#stopping) return;
    const pause = Math.min(RETRY.first * 2 ** (job.attempts - 1), RETRY.longest);
    const timer = this.#options.clock.setTimeout(() => {
      this.#later.delete(timer);
      this.#due.add(job);
      this.#next();
    }, pause);
    this.#later.add(timer);
  }

  async #giveUp(job: Job): Promise<void> {
    const path = join(this.#journal.directory, FAILED.name);
    try {
      using file = await Deno.open(path, { append: true, create: true, mode: 0o600 });
      const line = `${JSON.stringify(job.entry.event)}\n`;
      const { size } = await file.stat();
      if (size < FAILED.limit) await file.write(new TextEncoder().encode(line));
    } catch (error) {
      const { reason } = fileError(error);
      logger.error("Cannot keep in {path} what that was about: {reason}", { path, reason });
    }
    this.#end(job);
  }

  #end({ entry }: Job): void {
    this.#left--;
    this.#journal.done(entry);
  }

  /**
   * Starts no more runs. Resolves when those under way have ended; after `ms` milliseconds they are killed, and begin
   * anew when the queue is opened again. Uploads are still taken into the queue.
   */
  async stop(ms: number): Promise<void> {
    const { clock } = this.#options;
    this.#stopping = true;
    for (const timer of this.#later) clock.clearTimeout(timer);
    this.#later.clear();
    const kill = clock.setTimeout(() => this.#killing.abort(), ms);
    await Promise.all(this.#running);
    clock.clearTimeout(kill);
  }

  /** Kills what runs, and closes the queue. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(0);
    this.#tellDropped();
    await this.#journal[Symbol.asyncDispose]();
  }
}
