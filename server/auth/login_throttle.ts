/**
 * Delays logins after failed ones, to slow down guessing of tokens. Failures are counted per source, which is an
 * address or a network.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { FerryError } from "../../lib/core/errors.ts";

/** The delay of a login after the first failure, and the maximum, in milliseconds. It doubles with each failure. */
const PAUSE = { first: 250, longest: 4000 };

/**
 * A login that would have to wait for others of its source longer than this, in milliseconds, is refused immediately:
 * clients give up after 8 s without an answer, and would not learn the reason.
 */
const LONGEST_QUEUE_MS = 5000;

/** The failures of a source are forgotten after this time without another one, in milliseconds. */
const FORGET_MS = 10 * 60 * 1000;

/** The maximum number of sources remembered. Beyond that the one with the oldest failure is forgotten. */
const MAX_SOURCES = 4096;

/** The failed logins of one source. Times are in milliseconds of the throttle's clock. */
interface Failures {
  /** The number of failed logins. */
  count: number;
  /** The time of the last failed login. */
  last: number;
  /** When the next login may be tried. */
  next: number;
}

/** Options of {@linkcode LoginThrottle}. */
export interface LoginThrottleOptions {
  /** A monotonic clock, in milliseconds. Default: `performance.now`. */
  now?: () => number;
  /** Waits for that many milliseconds; fails if the signal is aborted. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Counts the failed logins of each source. Its memory is bounded. */
export class LoginThrottle {
  readonly #now: () => number;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The failures by source, ordered by the time of the last failure. */
  readonly #sources = new Map<string, Failures>();

  /** Creates a throttle without recorded failures. */
  constructor(
    {
      now = () => performance.now(),
      wait = (ms, signal) => delay(ms, { signal }),
    }: LoginThrottleOptions = {},
  ) {
    this.#now = now;
    this.#wait = wait;
  }

  /**
   * Resolves when a source may try to log in: immediately if it has not failed recently. Logins of one source wait for
   * each other, across all its connections.
   *
   * @throws {FerryError} `busy` if too many are waiting
   * @throws the signal's abort reason if it is aborted meanwhile
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
      // If the last one in the queue is aborted, it gives its turn back.
      if (failures.next === next) failures.next = turn;
      throw error;
    }
  }

  /** Counts a failed login. */
  countFailure(source: string): void {
    const now = this.#now();
    const { count = 0, next = now } = this.#recall(source) ?? {};
    const pause = pauseAfter(count + 1);
    // Logins that are already waiting keep their turns.
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
