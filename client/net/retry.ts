/**
 * Retrying what failed for a reason that may pass, and how long to wait before that.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { type FerryError, mayPass, toFerryError } from "../../lib/core/errors.ts";

/** A failure that is about to be retried. */
export interface Retry {
  /** What went wrong. */
  error: FerryError;
  /** Which retry is next, from 1. The count starts anew when bytes have moved. */
  attempt: number;
  /** How many retries there are at most while no byte moves. */
  retries: number;
  /** Milliseconds until the retry. */
  delay: number;
}

/** How often failures are retried. */
export interface RetryPolicy {
  /** How often a failure that may pass is retried. */
  retries: number;
  /** Called before each retry. */
  onRetry?: ((retry: Retry) => void) | undefined;
}

/** What {@linkcode retrying} runs. */
export interface Attempt<T> {
  /** What cannot be done, where it fails: `put "a.bin"`. */
  action: string;
  /** Does it, or fails. */
  run(): Promise<T>;
  /** Whether it may be done again after a failure. Default: always. */
  repeatable?: (() => boolean) | undefined;
  /** How far it came at its best; a try that comes further than those before is not counted. */
  furthest?: (() => number) | undefined;
  /** Gives up. */
  signal?: AbortSignal | undefined;
}

/** The longest wait before the first retry, which doubles with each, and its limit, in milliseconds. */
const BACKOFF = { first: 500, longest: 30_000 };

/**
 * Runs something, and again where it fails for a reason that may pass.
 *
 * @throws {FerryError} the last failure; the signal's reason where that gave up
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
      // Jitter: those that were cut off together do not all come back together.
      const wait = longest * (0.5 + Math.random() / 2);
      onRetry?.({ error, attempt, retries, delay: wait });
      await delay(wait, signal ? { signal } : {});
    }
  }
}
