/**
 * The connections of a client: one that its requests take in turn, and further ones for as long as requests wait
 * for the program that has made them.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { FerryError } from "../../lib/core/errors.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";
import type { Connection } from "./connection.ts";

/** So many requests whose pace the program sets may run beside each other. */
const PACED_AT_ONCE = 8;

/** How long all of those have to have waited for it before twice as many may run, in milliseconds. */
const PATIENCE_MS = 1000;

/** The part of the silence that a server bears in which an unused connection is used again. */
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
  /** How many requests whose pace the program sets may run at the moment. */
  #most = PACED_AT_ONCE;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** A pool with one connection in it, which was greeted. */
  constructor(first: Connection, dial: Dial) {
    this.#dial = dial;
    this.#hello = first.hello;
    this.#add(first);
  }

  /** What the server said of itself when it was last connected to. */
  get hello(): HelloReply {
    return this.#hello;
  }

  /** Aborted when the pool is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Waits for a request's turn, which lasts until it is disposed of.
   *
   * @param signal gives up the request; aborted, too, when the pool is closed
   * @param options `paced` is true where the program sets the pace of the request, as its source or sink: such
   * requests may run beside each other, and the others beside them, but one after the other
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

  /** Makes a connection that is none of the pool's. */
  dial(signal: AbortSignal): Promise<Connection> {
    return this.#dial(signal);
  }

  /**
   * Ends all connections, and with them what runs over them. Resolves when that has ended, unless it waits for the
   * program. May be repeated.
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

  /** Gives turns to those that wait for one, as far as there are connections. */
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

  /** A connection that nobody has; one more, where none of the others will be free by itself. */
  #free(): Slot | undefined {
    const free = this.#slots.values().find(({ turn }) => !turn);
    return free ?? (this.#turns.every(({ waits }) => waits) ? this.#add() : undefined);
  }

  /** Lets more run where those that do wait for them, as it seems: for a stream that one of them is to read. */
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

  /** Keeps one connection where nothing is under way. */
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

/** A connection that requests take in turn, or that is still to be made for them. */
class Slot {
  /** The connection, once it was needed. */
  connection: Connection | undefined;
  /** Whose turn it is. */
  turn: Turn | undefined;
  /** When it was made or last used, in milliseconds since 1970: a clock that goes on while the machine sleeps. */
  unusedSince = Date.now();

  constructor(connection?: Connection) {
    this.connection = connection;
  }

  /** Ends a turn. */
  release(): void {
    this.turn = undefined;
    this.unusedSince = Date.now();
  }

  get usable(): boolean {
    return this.connection?.usable ?? false;
  }

  /** Gives up a connection that was unused for so long that the server may be about to end it. */
  refresh(): void {
    if (!this.connection) return;
    const unused = Date.now() - this.unusedSince;
    if (unused < 0 || unused > this.connection.hello.idle_ms * FRESH) this.connection.close();
  }
}

/** What a {@linkcode Turn} has of its pool. */
interface TurnOptions {
  /** Aborted where the request is given up. */
  signal: AbortSignal;
  /** See {@linkcode Turn.paced}. */
  paced: boolean;
  /** See {@linkcode Turn.connection}. */
  connection(): Promise<Connection>;
  /** Told when it begins and ends to wait for the program, and when it is over. */
  changed(): void;
}

/** The time of one request at a connection. */
export class Turn implements Disposable {
  readonly #options: TurnOptions;
  #waits = 0;
  #failure: { error: unknown } | undefined;
  #over = false;

  /** A turn; {@linkcode Pool.take} gives it. */
  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** Whether the program sets its pace. */
  get paced(): boolean {
    return this.#options.paced;
  }

  /** Whether the request is done. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether the request waits for the program that has made it. */
  get waits(): boolean {
    return this.#waits > 0;
  }

  /** What the program failed with when the request waited for it. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** The connection, or a new one where it was lost. */
  connection(): Promise<Connection> {
    return this.#options.connection();
  }

  /**
   * Waits for something of the program's that has made the request: a source, a sink, a loop that takes one
   * result after the other. It may itself make requests, so others do not wait meanwhile. What it fails with is
   * remembered as it is. It is waited for no longer when the request is given up, unless it has to end
   * in any case.
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

  /** Lets the next request have the connection. */
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

/** Waits for what belongs to no program: nothing else is let run meanwhile. */
export const waitDirectly: WaitFor = async (run) => await run();
