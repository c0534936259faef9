/**
 * Retries after temporary failures, and the delay before them.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { type FerryError, mayPass, toFerryError } from "../../lib/core/errors.ts";

/** A failure that is about to be retried. */
export interface Retry {
  /** The failure. */
  error: FerryError;
  /** The number of the next retry, from 1. The count starts again when bytes have been transferred. */
  attempt: number;
  /** The most retries in a row without a transferred byte. */
  retries: number;
  /** Milliseconds until the retry. */
  delay: number;
}

/** How often temporary failures are retried. */
export interface RetryPolicy {
  /** The most retries in a row without progress. */
  retries: number;
  /** Called before each retry. */
  onRetry?: ((retry: Retry) => void) | undefined;
}

/** What {@linkcode retrying} runs. */
export interface Attempt<T> {
  /** What was attempted, for error messages: `put "a.bin"`. */
  action: string;
  /** Makes one attempt. */
  run(): Promise<T>;
  /** Whether it may be repeated after a failure. Default: always. */
  repeatable?: (() => boolean) | undefined;
  /** The most progress of any attempt so far; an attempt that gets further than those before resets the count. */
  furthest?: (() => number) | undefined;
  /** Aborts the attempts and the waits. */
  signal?: AbortSignal | undefined;
}

/**
 * The delay before the first retry doubles with each further one, up to `longest`. Jitter takes up to half off. In
 * milliseconds.
 */
const BACKOFF = { first: 500, longest: 30_000 };

/**
 * Runs an attempt, and repeats it after a temporary failure.
 *
 * @throws {FerryError} the last failure; the signal's reason where it was aborted
 */
export async function retrying<T>(
  { action, run, repeatable = () => true, furthest = () => 0, signal }: Attempt<T>,
  { retries, onRetry }: RetryPolicy,
): Promise<T> {
  let before = 0;
  for (let attempt = 1;; attempt++) {
    try {
      return await run();
    } catch (reason) {
      if (signal?.aborted) throw signal.reason;
      const error = toFerryError(reason).during(action);
      if (!mayPass(error) || !repeatable()) throw error;
      if (furthest() > before) attempt = 1;
      before = furthest();
      if (attempt > retries) throw error;
      const longest = Math.min(BACKOFF.first * 2 ** (attempt - 1), BACKOFF.longest);
      // Jitter: clients that were disconnected together do not all reconnect together.
      const wait = longest * (0.5 + Math.random() / 2);
      onRetry?.({ error, attempt, retries, delay: wait });
      await delay(wait, signal ? { signal } : {});
    }
  }
}
