/**
 * The connections of a client: one that its requests use in turn, and further ones while requests wait for the
 * program's own code.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { FerryError } from "../../lib/core/errors.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";
import type { Connection } from "./connection.ts";

/** How many requests with a source or sink of the program may run at the same time. */
const PACED_AT_ONCE = 8;

/** How long all of those have to have waited for the program before twice as many may run, in milliseconds. */
const PATIENCE_MS = 1000;

/** The fraction of the server's idle timeout for which an unused connection may be used again. */
const FRESH = 0.9;

/** Makes a connection. */
export type Dial = (signal: AbortSignal) => Promise<Connection>;

/** The connections of one client. */
export class Pool {
  readonly #dial: Dial;
  readonly #slots = new Set<Slot>();
  readonly #queue: Waiting[] = [];
  readonly #closing = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  #hello: HelloReply;
  /** How many paced requests may run at the moment. */
  #most = PACED_AT_ONCE;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** A pool with one connection in it, whose handshake is done. */
  constructor(first: Connection, dial: Dial) {
    this.#dial = dial;
    this.#hello = first.hello;
    this.#add(first);
  }

  /** What the server said about itself in the last handshake. */
  get hello(): HelloReply {
    return this.#hello;
  }

  /** Aborted when the pool is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Waits for the turn of a request, which lasts until the {@linkcode Turn} is disposed of.
   *
   * @param signal aborts the request; also aborted when the pool is closed
   * @param options `paced` is true where a source or a sink of the program sets the pace of the request. Paced requests
   * may run at the same time as each other and as one other request; requests that are not paced run one after the
   * other.
   * @throws the signal's reason
   */
  async take(signal: AbortSignal, options: { paced: boolean }): Promise<Turn> {
    signal.throwIfAborted();
    const waiting: Waiting = { signal, ...options, ...Promise.withResolvers<Turn>() };
    const giveUp = () => {
      const at = this.#queue.indexOf(waiting);
      if (at >= 0) this.#queue.splice(at, 1);
      waiting.reject(signal.reason);
    };
    this.#queue.push(waiting);
    this.#serve();
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return await waiting.promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** Makes a connection outside of the pool. */
  dial(signal: AbortSignal): Promise<Connection> {
    return this.#dial(signal);
  }

  /**
   * Closes all connections, so that the requests on them fail. Resolves when these have ended, except those that wait
   * for the program. May be called again.
   */
  close(): Promise<void> {
    if (!this.closing.aborted) {
      const reason = new FerryError("closed", "the client was closed", { lasting: true });
      this.#closing.abort(reason);
      for (const slot of this.#slots) slot.connection?.close(reason);
      this.#serve();
    }
    return this.#settled.promise;
  }

  async #connected(slot: Slot, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    if (!slot.usable) {
      slot.connection?.close();
      slot.connection = await this.#dial(signal);
      slot.unusedSince = Date.now();
      this.#hello = slot.connection.hello;
      // It may have been closed while the connection was being made.
      if (this.closing.aborted) slot.connection.close(this.closing.reason);
    }
    return slot.connection!;
  }

  /** Gives turns to waiting requests, as far as there are connections. */
  #serve(): void {
    for (const slot of this.#slots) if (slot.turn?.over) slot.release();
    for (const waiting of [...this.#queue]) {
      if (waiting.paced && this.#turns.filter(({ paced }) => paced).length >= this.#most) continue;
      const slot = this.#free();
      if (!slot) break;
      this.#queue.splice(this.#queue.indexOf(waiting), 1);
      const { signal, paced } = waiting;
      slot.refresh();
      slot.turn = new Turn({
        signal,
        paced,
        connection: () => this.#connected(slot, signal),
        changed: () => this.#serve(),
      });
      waiting.resolve(slot.turn);
    }
    this.#watch();
    const turns = this.#turns;
    if (this.closing.aborted && turns.every(({ waits }) => waits)) this.#settled.resolve();
    if (turns.length === 0) this.#shrink();
  }

  get #turns(): Turn[] {
    return [...this.#slots].flatMap(({ turn }) => turn ?? []);
  }

  /** A free connection; a further one where all others are held by requests that wait for the program. */
  #free(): Slot | undefined {
    const free = this.#slots.values().find(({ turn }) => !turn);
    return free ?? (this.#turns.every(({ waits }) => waits) ? this.#add() : undefined);
  }

  /**
   * Raises the limit where all paced requests seem to wait for each other: one may wait for a stream that another is to
   * read.
   */
  #watch(): void {
    const stuck = this.#queue.length > 0 && this.#turns.every(({ waits }) => waits);
    if (!stuck) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#most *= 2;
      this.#serve();
    }, PATIENCE_MS);
  }

  #add(connection?: Connection): Slot {
    const slot = new Slot(connection);
    this.#slots.add(slot);
    return slot;
  }

  /** Closes all connections but one where no request is under way. */
  #shrink(): void {
    this.#most = PACED_AT_ONCE;
    const kept = this.#slots.values().find((slot) => slot.usable) ?? [...this.#slots][0];
    for (const slot of this.#slots) {
      if (slot === kept) continue;
      slot.connection?.close();
      this.#slots.delete(slot);
    }
  }
}

/** A request that waits for its turn. */
interface Waiting extends PromiseWithResolvers<Turn> {
  signal: AbortSignal;
  paced: boolean;
}

/** A connection that requests use in turn, or a place for one that is not made yet. */
class Slot {
  /** The connection; undefined until it is needed. */
  connection: Connection | undefined;
  /** The request that is using it. */
  turn: Turn | undefined;
  /** When it was made or last used, in milliseconds since 1970: this clock goes on while the machine sleeps. */
  unusedSince = Date.now();

  constructor(connection?: Connection) {
    this.connection = connection;
  }

  /** Ends the turn. */
  release(): void {
    this.turn = undefined;
    this.unusedSince = Date.now();
  }

  get usable(): boolean {
    return this.connection?.usable ?? false;
  }

  /** Closes a connection that was unused for so long that the server may be about to close it. */
  refresh(): void {
    if (!this.connection) return;
    const unused = Date.now() - this.unusedSince;
    if (unused < 0 || unused > this.connection.hello.idle_ms * FRESH) this.connection.close();
  }
}

/** What a {@linkcode Turn} gets from its pool. */
interface TurnOptions {
  /** Aborted where the request is aborted. */
  signal: AbortSignal;
  /** See {@linkcode Turn.paced}. */
  paced: boolean;
  /** See {@linkcode Turn.connection}. */
  connection(): Promise<Connection>;
  /** Called when the turn begins or stops waiting for the program, and when it is over. */
  changed(): void;
}

/** The turn of one request, during which it has a connection. */
export class Turn implements Disposable {
  readonly #options: TurnOptions;
  #waits = 0;
  #failure: { error: unknown } | undefined;
  #over = false;

  /** A turn; made by {@linkcode Pool.take}. */
  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** Whether a source or a sink of the program sets its pace. */
  get paced(): boolean {
    return this.#options.paced;
  }

  /** Whether the request is done. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether the request is waiting for the program. */
  get waits(): boolean {
    return this.#waits > 0;
  }

  /** What the program's code failed with while the request waited for it. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** The current connection, or a new one where it was lost. */
  connection(): Promise<Connection> {
    return this.#options.connection();
  }

  /**
   * Waits for code of the program that has made the request: a source, a sink, or a loop over the results. That code
   * may itself make requests, so others may run meanwhile. Its failure is remembered as it is. When the request is
   * aborted, the wait ends at once, unless `toItsEnd` is set.
   */
  readonly waitFor: WaitFor = async (run, { toItsEnd = false } = {}) => {
    if (++this.#waits === 1) this.#options.changed();
    const running = (async () => await run())();
    running.catch((error) => this.#failure ??= { error });
    try {
      return await (toItsEnd ? running : abortable(running, this.#options.signal));
    } finally {
      if (--this.#waits === 0) this.#options.changed();
    }
  };

  /** Frees the connection for the next request. */
  [Symbol.dispose](): void {
    this.#over = true;
    this.#options.changed();
  }
}

/** See {@linkcode Turn.waitFor}. */
export type WaitFor = <T>(
  run: () => Promise<T> | T,
  options?: { toItsEnd?: boolean },
) => Promise<T>;

/** Waits for code that is not the program's: no other request runs meanwhile. */
export const waitDirectly: WaitFor = async (run) => await run();
