/**
 * Delays logins after failed ones, to slow down who guesses tokens. Each source, an address or a network, is counted
 * on its own.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { FerryError } from "../../lib/core/errors.ts";

/** The delay of a login after one failed login and at most, in milliseconds. It doubles with each failure. */
const PAUSE = { first: 250, longest: 4000 };

/**
 * A login that would wait for longer than this, in milliseconds, for others of its source, is refused at once:
 * clients give up after 8 s without an answer, and would not learn why.
 */
const LONGEST_QUEUE_MS = 5000;

/** The failures of a source are forgotten after this time without another one, in milliseconds. */
const FORGET_MS = 10 * 60 * 1000;

/** At most this many sources are remembered; beyond that the one that failed longest ago is forgotten. */
const MAX_SOURCES = 4096;

/** The failed logins of one source. Times are in milliseconds of the throttle's clock. */
interface Failures {
  /** How many there were. */
  count: number;
  /** When the last one was. */
  last: number;
  /** When the next login may be tried. */
  next: number;
}

/** Options of {@linkcode LoginThrottle}. */
export interface LoginThrottleOptions {
  /** A monotonic clock, in milliseconds. Default: `performance.now`. */
  now?: () => number;
  /** Waits for that many milliseconds; fails where the signal is aborted. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Counts the failed logins of each source. Its memory is bounded. */
export class LoginThrottle {
  readonly #now: () => number;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The failures by their sources, in the order of the last ones. */
  readonly #sources = new Map<string, Failures>();

  /** A throttle that has seen no failure. */
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
   * Resolves when a source may try to log in: at once where it has not failed lately. The logins of one source wait
   * for each other, over all its connections.
   *
   * @throws {FerryError} `busy` where too many are waiting
   * @throws the signal's reason where it is aborted meanwhile
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
      // The last one that waits gives its turn back where it leaves.
      if (failures.next === next) failures.next = turn;
      throw error;
    }
  }

  /** Counts a failed login. */
  countFailure(source: string): void {
    const now = this.#now();
    const { count = 0, next = now } = this.#recall(source) ?? {};
    const pause = pauseAfter(count + 1);
    // Logins that wait already keep their turns.
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
