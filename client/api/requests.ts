/**
 * How requests are made: one after the other, retried after temporary failures, until they are aborted.
 *
 * @module
 */

import type { Connection } from "../net/connection.ts";
import { Pool, type Turn, type WaitFor } from "../net/connection_pool.ts";
import { retrying, type RetryPolicy } from "../net/retry.ts";
import type { RequestOptions } from "../transfer/options.ts";
import type { Callbacks } from "./callbacks.ts";

/** What the function that makes a request gets, besides the connection. */
export interface RequestContext {
  /** Waits for the program's own code, such as a source, and lets other requests run meanwhile. */
  waitFor: WaitFor;
  /** The current connection, or a new one where it has ended. */
  renewed: () => Promise<Connection>;
  /** Aborted where the request is aborted, and where the client is closed. */
  signal: AbortSignal;
}

/** How a request is made. */
export interface RequestPolicy {
  /** Whether the request may be repeated after a failure. Default: always. */
  repeatable?: (() => boolean) | undefined;
  /** The callbacks of a transfer. */
  callbacks?: Callbacks | undefined;
  /** Whether the program sets the pace of the request, by what it gives or takes. Default: false. */
  paced?: boolean | undefined;
}

/** For requests that are not idempotent. */
export const NOT_REPEATABLE: RequestPolicy = { repeatable: () => false };

/** The requests of a client, over its connections. */
export class Requests {
  /** The client's connections. */
  readonly pool: Pool;
  readonly #policy: RetryPolicy;

  /** Requests over the connections of a pool. */
  constructor(pool: Pool, policy: RetryPolicy) {
    this.pool = pool;
    this.#policy = policy;
  }

  /**
   * Waits for the turn of a request, makes it, and repeats it after a temporary failure.
   *
   * @param action what was attempted, for error messages: `put "a.bin"`
   */
  async make<T>(
    action: string,
    { signal: givesUp }: RequestOptions,
    run: (connection: Connection, context: RequestContext) => Promise<T>,
    { repeatable, callbacks, paced = false }: RequestPolicy = {},
  ): Promise<T> {
    const { closing } = this.pool;
    const signal = givesUp ? AbortSignal.any([givesUp, closing]) : closing;
    let turn: Turn | undefined;
    try {
      using taken = turn = await this.pool.take(signal, { paced });
      const result = await retrying({
        action,
        signal,
        run: async () => {
          const connection = await taken.connection();
          using _abort = connection.closeOnAbort(givesUp);
          const renewed = () => taken.connection();
          return await run(connection, { waitFor: taken.waitFor, renewed, signal });
        },
        repeatable,
        furthest: callbacks && (() => callbacks.bytes),
      }, this.#policy);
      callbacks?.assertNoneFailed();
      return result;
    } catch (error) {
      if (closing.aborted && error === closing.reason) throw closing.reason.during(action);
      // A failure of the program's own sources and sinks is thrown as it is.
      throw !signal.aborted && turn?.failure ? turn.failure.error : error;
    }
  }
}
