/**
 * Slowing down those who guess: each failure of a source makes its next tries wait longer, and those of
 * nobody else.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { FerryError } from "../../lib/core/errors.ts";

/** How long a source waits after its first failure, and at most, in milliseconds. */
const PAUSE = { first: 250, longest: 4000 };

/**
 * A try that would wait for longer than this, behind others of its source, is turned away at once. Clients give up a
 * server that has not greeted them within 8 seconds, and learn nothing from that.
 */
const LONGEST_QUEUE_MS = 5000;

/** A source that has not failed for so long starts afresh, in milliseconds. */
const FORGET_MS = 10 * 60 * 1000;

/** How many sources are remembered; of more than these, whoever failed longest ago is forgotten. */
const MAX_SOURCES = 4096;

interface Failures {
  count: number;
  last: number;
  /** When the next try may be made. */
  next: number;
}

/** Options of {@linkcode Throttle}. */
export interface ThrottleOptions {
  /** The time in milliseconds, of a clock that only goes forward. */
  now?: () => number;
  /** Waits for so many milliseconds, or until the signal ends that. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Remembers which sources have failed. Its memory is bounded. */
export class Throttle {
  readonly #now: () => number;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In the order of their last failures. */
  readonly #sources = new Map<string, Failures>();

  /** One that has seen nobody. */
  constructor(
    {
      now = () => performance.now(),
      wait = (ms, signal) => delay(ms, { signal }),
    }: ThrottleOptions = {},
  ) {
    this.#now = now;
    this.#wait = wait;
  }

  /**
   * Resolves when a source may make its next try: at once where it has not failed lately. The tries of one
   * source wait in line, on however many connections they come.
   *
   * @throws {FerryError} `busy` where the line is too long
   */
  async admit(source: string, signal: AbortSignal): Promise<void> {
    const failures = this.#recall(source);
    if (!failures) return;
    const now = this.#now();
    const turn = Math.max(now, failures.next);
    if (turn - now > LONGEST_QUEUE_MS) {
      throw new FerryError(
        "busy",
        "too many wrong tokens have come from this address; try again later",
      );
    }
    const next = turn + pauseAfter(failures.count);
    failures.next = next;
    try {
      if (turn > now) await this.#wait(turn - now, signal);
    } catch (error) {
      // Whoever leaves the end of the line gives its place back.
      if (failures.next === next) failures.next = turn;
      throw error;
    }
  }

  /** Remembers that a try has failed. */
  failed(source: string): void {
    const now = this.#now();
    const { count = 0, next = now } = this.#recall(source) ?? {};
    const pause = pauseAfter(count + 1);
    // What waits in line already keeps its turn.
    this.#sources.delete(source);
    this.#sources.set(source, { count: count + 1, last: now, next: Math.max(next, now + pause) });
    const [oldest] = this.#sources.keys();
    if (this.#sources.size > MAX_SOURCES && oldest !== undefined) this.#sources.delete(oldest);
  }

  /** How many sources are remembered. */
  get size(): number {
    return this.#sources.size;
  }

  #recall(source: string): Failures | undefined {
    const failures = this.#sources.get(source);
    if (!failures || this.#now() - failures.last <= FORGET_MS) return failures;
    this.#sources.delete(source);
    return undefined;
  }
}

function pauseAfter(failures: number): number {
  return Math.min(PAUSE.first * 2 ** (failures - 1), PAUSE.longest);
}
