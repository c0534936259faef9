/**
 * A queue of events that outlives the process: events are appended to files of a directory, and marked there when they
 * have been dealt with.
 *
 * The files are `events-N.jsonl`, with a line of JSON for each event, `{"id":1,"event":{…}}`, and for each that was
 * dealt with, `{"done":1}`. A file is begun at each start, and when the last one has become large. One whose events
 * have all been dealt with is removed.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { FerryError, fileError, quote } from "../../lib/core/errors.ts";
import { join } from "../../lib/core/paths.ts";
import { syncDirectory } from "../../lib/files/directory_flush.ts";
import { tryLock } from "../../lib/files/file_lock.ts";

/** A file is not appended to any more once it has this size, in bytes. */
const SEGMENT_BYTES = 1024 * 1024;

/** How often a lock that another process holds is tried again, and after which pauses. */
const LOCK = { tries: 10, pause: 100 };

const logger = getLogger(["ferry", "server"]);

/** An event that has not been dealt with. */
export interface JournalEntry {
  /** Its number; later events have greater ones. */
  readonly id: number;
  /** The event. */
  readonly event: Readonly<Record<string, unknown>>;
}

/** A file of the journal. */
interface Segment {
  readonly number: number;
  /** The events in it that have not been dealt with. */
  left: number;
}

/** The file that events are appended to. */
interface OpenSegment extends Segment {
  readonly file: Deno.FsFile;
  size: number;
}

/** Options of {@linkcode EventJournal.open}. */
export interface EventJournalOptions {
  /** Whether events survive a loss of power. */
  readonly durable: boolean;
}

interface Waiting {
  readonly entry: JournalEntry;
  readonly settled: PromiseWithResolvers<JournalEntry>;
}

/** Events that outlive the process. One process at a time has a journal open. */
export class EventJournal implements AsyncDisposable {
  readonly #place: () => string;
  readonly #durable: boolean;
  #directory: string;
  #lock: Deno.FsFile;
  readonly #segments = new Map<number, Segment>();
  /** Where the events are that have not been dealt with, by their ids. */
  readonly #places = new Map<number, Segment>();
  #current: OpenSegment | undefined;
  #lastSegment = 0;
  #lastId = 0;
  #waiting: Waiting[] = [];
  #done: number[] = [];
  #running: Promise<void> | undefined;
  #failing = false;
  /** The events that earlier processes have left, in order. */
  readonly left: readonly JournalEntry[];

  private constructor(
    { directory, lock }: Taken,
    place: () => string,
    { durable }: EventJournalOptions,
  ) {
    this.#place = place;
    this.#directory = directory;
    this.#lock = lock;
    this.#durable = durable;
    this.left = this.#recover();
  }

  /**
   * Opens the journal in a directory.
   *
   * @param place makes the directory if it is not there, and returns its path. It is called again if somebody has removed
   * the directory: what was in it is lost when this process ends, and what comes later is not.
   * @throws {FerryError} `busy` if another process has it open; `not_found`, `denied`, `io`
   */
  static async open(place: () => string, options: EventJournalOptions): Promise<EventJournal> {
    try {
      const taken = await take(place());
      using lock = new DisposableStack();
      lock.use(taken.lock);
      const journal = new EventJournal(taken, place, options);
      lock.move();
      return journal;
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Where the journal is. */
  get directory(): string {
    return this.#directory;
  }

  /**
   * Appends an event. Events that come at the same time share a flush. Never fails: if the event cannot be written, the
   * log says so, and only this process knows it.
   *
   * @returns resolves when the event outlives the process
   */
  append(event: JournalEntry["event"]): Promise<JournalEntry> {
    const settled = Promise.withResolvers<JournalEntry>();
    this.#waiting.push({ entry: { id: ++this.#lastId, event }, settled });
    this.#running ??= this.#run();
    return settled.promise;
  }

  /** Marks an event as dealt with. After a crash it may be there again all the same. */
  done({ id }: JournalEntry): void {
    const segment = this.#places.get(id);
    if (!segment) return;
    this.#places.delete(id);
    segment.left--;
    this.#done.push(id);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 || this.#done.length > 0) {
      const waiting = this.#waiting;
      const done = this.#done;
      this.#waiting = [];
      this.#done = [];
      try {
        await this.#write(waiting.map(({ entry }) => entry), done);
        this.#failing = false;
      } catch (error) {
        this.#fail(fileError(error).reason);
      }
      for (const { entry, settled } of waiting) settled.resolve(entry);
    }
    this.#running = undefined;
  }

  async #write(entries: readonly JournalEntry[], done: readonly number[]): Promise<void> {
    const segment = await this.#segment();
    const lines = [
      ...entries.map(({ id, event }) => JSON.stringify({ id, event })),
      ...done.map((id) => JSON.stringify({ done: id })),
    ];
    const bytes = new TextEncoder().encode(`${lines.join("\n")}\n`);
    for (let at = 0; at < bytes.length;) at += await segment.file.write(bytes.subarray(at));
    segment.size += bytes.length;
    if (entries.length > 0 && this.#durable) await segment.file.syncData();
    for (const { id } of entries) this.#places.set(id, segment);
    segment.left += entries.length;
    await this.#removeFinished();
  }

  /** The file that events are appended to. */
  async #segment(): Promise<OpenSegment> {
    const current = this.#current;
    const isOpen = current && current.size < SEGMENT_BYTES;
    if (isOpen && !await isRemoved(current.file)) return current;
    this.#leaveCurrent();
    if (await isRemoved(this.#lock)) await this.#beginAnew();
    const number = ++this.#lastSegment;
    const path = this.#pathOf(number);
    const options = { write: true, append: true, createNew: true, mode: 0o600 };
    const file = await Deno.open(path, options);
    this.#current = { number, left: 0, file, size: 0 };
    this.#segments.set(number, this.#current);
    if (this.#durable) await syncDirectory(this.#directory);
    return this.#current;
  }

  /** Begins with nothing in a directory that is made in the place of one that was removed. */
  async #beginAnew(): Promise<void> {
    const { directory, lock } = await take(this.#place());
    this.#lock.close();
    this.#lock = lock;
    this.#directory = directory;
    this.#segments.clear();
    this.#places.clear();
  }

  #leaveCurrent(): void {
    this.#current?.file.close();
    this.#current = undefined;
  }

  async #removeFinished(): Promise<void> {
    for (const [number, { left }] of this.#segments) {
      if (left > 0 || number === this.#current?.number) continue;
      this.#segments.delete(number);
      await removeIfThere(this.#pathOf(number));
    }
  }

  /** The end of the file may be half a line now: the next events go into another one. */
  #fail(reason: string): void {
    this.#leaveCurrent();
    if (this.#failing) return;
    this.#failing = true;
    logger.error("What was stored cannot be kept for --on-stored if ferryd ends now: {reason}", {
      reason,
    });
  }

  #pathOf(segment: number): string {
    return join(this.#directory, `events-${segment}.jsonl`);
  }

  /** Reads what earlier processes have left. */
  #recover(): JournalEntry[] {
    const found = new Map<number, JournalEntry>();
    for (const number of this.#numbers()) {
      const segment = { number, left: 0 };
      this.#segments.set(number, segment);
      this.#lastSegment = number;
      for (const line of Deno.readTextFileSync(this.#pathOf(number)).split("\n")) {
        const { id, event, done } = parse(line);
        if (id !== undefined) {
          this.#lastId = Math.max(this.#lastId, id);
          found.set(id, { id, event: event! });
          this.#places.set(id, segment);
        } else if (done !== undefined) {
          found.delete(done);
          this.#places.delete(done);
        }
      }
    }
    for (const segment of this.#places.values()) segment.left++;
    return [...found.values()];
  }

  /** The numbers of the files, in order. */
  #numbers(): number[] {
    return [...Deno.readDirSync(this.#directory)].flatMap(({ name }) => {
      const number = /^events-(\d{1,15})\.jsonl$/.exec(name)?.[1];
      return number === undefined ? [] : [Number(number)];
    }).sort((a, b) => a - b);
  }

  /** Writes what has to be written, and lets other processes open the journal. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running;
    this.#leaveCurrent();
    this.#lock.close();
  }
}

/** A directory, and the lock on it. */
interface Taken {
  readonly directory: string;
  readonly lock: Deno.FsFile;
}

/**
 * Keeps other processes from a directory.
 *
 * @throws {FerryError} `busy` if another process has it
 */
async function take(directory: string): Promise<Taken> {
  using taken = new DisposableStack();
  const path = join(directory, "lock");
  const lock = taken.use(Deno.openSync(path, { create: true, write: true, mode: 0o600 }));
  // A process that was killed a moment ago may still hold it.
  for (let tries = 0; !tryLock(lock); tries++) {
    if (tries === LOCK.tries) {
      throw new FerryError("busy", "another ferryd keeps its queue there: each needs its own");
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK.pause));
  }
  taken.move();
  return { directory, lock };
}

/** Whether an open file has no name any more. */
async function isRemoved(file: Deno.FsFile): Promise<boolean> {
  return (await file.stat()).nlink === 0;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A line of the journal. Half a line, which a crash leaves at the end of a file, has no keys. */
function parse(line: string): { id?: number; event?: JournalEntry["event"]; done?: number } {
  try {
    const { id, event, done } = JSON.parse(line);
    if (Number.isSafeInteger(id) && typeof event === "object" && event !== null) {
      return { id, event };
    }
    return Number.isSafeInteger(done) ? { done } : {};
  } catch {
    if (line.trim() !== "") {
      logger.warn("The queue of --on-stored has a damaged line: {line}", { line: quote(line) });
    }
    return {};
  }
}
