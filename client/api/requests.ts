/**
 * How requests are made: each in its turn, again where what failed may pass, and until somebody gives up.
 *
 * @module
 */

import type { FerryError } from "../../lib/core/errors.ts";
import type { Connection } from "../net/connection.ts";
import type {
  Progress,
  RequestOptions,
  TransferOptions,
  Transferred,
  TreeOptions,
} from "../transfer/options.ts";
import { Pool, type Turn, type WaitFor } from "../net/connection_pool.ts";
import { retrying, type RetryPolicy } from "../net/retry.ts";

/** What a request has beside its connection. */
export interface RequestContext {
  /** Waits for something of the program's. */
  waitFor: WaitFor;
  /** The connection, or a new one where it was ended. */
  renewed: () => Promise<Connection>;
  /** Aborted where the request is given up, and where the client is closed. */
  signal: AbortSignal;
}

/** How a request is made. */
export interface RequestPolicy {
  /** Whether it may be made again after a failure; always, unless told otherwise. */
  repeat?: (() => boolean) | undefined;
  /** What it tells the program. */
  watch?: Callbacks | undefined;
  /** Whether the program sets its pace, by what it gives or takes; false unless told otherwise. */
  paced?: boolean | undefined;
}

/** Of what is another thing when it is done twice. */
export const NOT_REPEATABLE: RequestPolicy = { repeat: () => false };

/**
 * What a transfer tells the program on its way. It shows how far the transfer has come at its best; a repetition that
 * comes further is progress. And a function of the program's that fails ends the transfer.
 */
export class Callbacks {
  /** How many bytes are on the other side. */
  bytes = 0;
  readonly #stop = new AbortController();
  #untold: FerryError | undefined;

  /** The options of a transfer, with an eye on what it tells. */
  over<Options extends TransferOptions>(options: Options): Options {
    const tell = this.#telling(options.onProgress);
    const onProgress = (progress: Progress) => {
      this.bytes = Math.max(this.bytes, progress.bytes);
      tell?.(progress);
    };
    return { ...options, onProgress, ...(tell ? this.#signal(options) : {}) };
  }

  /** The options of a transfer of many files, each of which is progress. */
  overTree<Options extends TransferOptions & TreeOptions>(options: Options): Options {
    const tell = this.#telling(options.onFile);
    const onFile = (result: Transferred) => {
      // What need not cross is no progress: a new connection finds it all over again.
      this.bytes += result.transferred;
      tell?.(result);
    };
    return {
      ...this.over(options),
      onFile,
      onPlan: this.#telling(options.onPlan),
      onSkip: this.#telling(options.onSkip),
      onError: this.#telling(options.onError) ?? ((_, error) => this.#untold ??= error),
      ...this.#signal(options),
    };
  }

  /**
   * To be called when the transfer has ended.
   *
   * @throws what a function of the program's has failed with; the first failure that it could not be told of
   */
  assertTold(): void {
    this.#stop.signal.throwIfAborted();
    if (this.#untold) throw this.#untold;
  }

  /** Aborted, too, when something that the program is told with has failed. */
  #signal({ signal }: RequestOptions): { signal: AbortSignal } {
    const stop = this.#stop.signal;
    return { signal: signal ? AbortSignal.any([signal, stop]) : stop };
  }

  #telling<Args extends unknown[]>(
    tell: ((...args: Args) => void) | undefined,
  ): ((...args: Args) => void) | undefined {
    return tell && ((...args) => {
      if (this.#stop.signal.aborted) return;
      try {
        tell(...args);
      } catch (error) {
        this.#stop.abort(error);
        throw error;
      }
    });
  }
}

/** The requests of a client, over its connections. */
export class Requests {
  /** Its connections. */
  readonly pool: Pool;
  readonly #policy: RetryPolicy;

  /** Requests over the connections of a pool. */
  constructor(pool: Pool, policy: RetryPolicy) {
    this.pool = pool;
    this.#policy = policy;
  }

  /**
   * Waits for this request's turn and runs it, again where what failed may pass: a request that changes
   * something on the server only where doing it twice is doing it once.
   */
  async make<T>(
    action: string,
    { signal: givesUp }: RequestOptions,
    run: (connection: Connection, during: RequestContext) => Promise<T>,
    { repeat, watch, paced = false }: RequestPolicy = {},
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
        repeatable: repeat,
        furthest: watch && (() => watch.bytes),
      }, this.#policy);
      watch?.assertTold();
      return result;
    } catch (error) {
      if (closing.aborted && error === closing.reason) throw closing.reason.during(action);
      // What the program's own sources and sinks fail with is theirs.
      throw !signal.aborted && turn?.failure ? turn.failure.error : error;
    }
  }
}
