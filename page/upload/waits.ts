/// <reference lib="dom" />
/**
 * Waiting for the network, for the server, or for a login.
 *
 * @module
 */

import { UploadFailure } from "./failure.ts";

/** The delay before the first retry, in milliseconds; each further one is twice as long. */
const RETRY_MS = 500;

/** The longest delay between retries, in milliseconds. */
const MAX_RETRY_MS = 20_000;

/** How often in a row the server may report an error of its own before nothing is tried any more. */
const MAX_ERRORS = 4;

/** Waits for what uploads need. */
export class Waits {
  readonly #loginNeeded: () => void;
  readonly #paused: () => void;
  /** Each ends one pause. */
  readonly #pauses = new Set<() => void>();
  #login: PromiseWithResolvers<void> | undefined;

  /**
   * @param loginNeeded called when somebody has to log in
   * @param paused called whenever something begins to wait for the network or the server
   */
  constructor(loginNeeded: () => void, paused: () => void = () => {}) {
    this.#loginNeeded = loginNeeded;
    this.#paused = paused;
  }

  /**
   * Waits after a failure until trying again may help.
   *
   * @param failures the number of failures before this one
   * @throws the error, if waiting does not help
   */
  async after(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    if (!(error instanceof UploadFailure)) throw error;
    if (error.status === 401) return await this.#loggedIn(signal);
    if (!error.passes || error.status === 500 && failures >= MAX_ERRORS) throw error;
    const delay = Math.min(RETRY_MS * 2 ** failures, MAX_RETRY_MS);
    await this.#pause(error.retryAfter ?? delay, signal);
  }

  /** Does something until it succeeds, or fails in a way that waiting does not change. */
  async retried<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let failures = 0;; failures++) {
      try {
        return await action();
      } catch (error) {
        await this.after(error, failures, signal);
      }
    }
  }

  /** Whether something waits for a login. */
  get needsLogin(): boolean {
    return this.#login !== undefined;
  }

  /** Whether something waits for the network or the server. */
  get isPausing(): boolean {
    return this.#pauses.size > 0;
  }

  /** Ends the pauses: the network may be back. */
  hurry(): void {
    for (const end of [...this.#pauses]) end();
  }

  /** Somebody has logged in. */
  loggedIn(): void {
    this.#login?.resolve();
    this.#login = undefined;
  }

  #loggedIn(signal: AbortSignal): Promise<void> {
    if (this.#login === undefined) {
      this.#login = Promise.withResolvers();
      this.#loginNeeded();
    }
    return unlessAborted(this.#login.promise, signal);
  }

  async #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#pauses.add(resolve);
    this.#paused();
    try {
      await unlessAborted(promise, signal);
    } finally {
      clearTimeout(timer);
      this.#pauses.delete(resolve);
    }
  }
}

/** Waits for a promise, unless the signal is aborted before; then it fails with the reason. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
