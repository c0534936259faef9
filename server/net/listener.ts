/**
 * Listeners of a server, and the loop that accepts connections for each of them. The loop survives what goes wrong
 * with a single connection, knows all that are open, and ends them in order.
 *
 * @module
 */

import {
  type Address,
  formatAddress,
  type ListenerKind,
  type Listening,
} from "../../lib/core/address.ts";
import { type Clock, sleep, type Timer } from "../../lib/core/clock.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { guarded, logFailure } from "../observe/failures.ts";
import type { Admission, ConnectionLimits } from "./connection_limits.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
const BACKOFF = { first: 5, longest: 1000 };

/**
 * How long the handler of a connection may take to end when it is told to, in milliseconds: longer than commands have
 * before they are killed. A handler that reads a large file for its checksum notices only at the end of it.
 */
const ENDING_MS = 3000;

/** Something that a server listens with. */
export interface Listener {
  /** Where it listens, with the real port. */
  readonly listening: Listening;
  /**
   * Takes nothing new, lets what is under way finish within `drainTimeout` milliseconds, then ends it. Resolves when
   * all of it has ended, except for what does not end when it is told to. Never fails.
   */
  close(drainTimeout: number): Promise<void>;
}

/** Serves one connection. */
export interface ConnectionHandler {
  /** Serves until either side ends the connection. Resolves when it is closed; fails only for unforeseen errors. */
  run(): Promise<void>;
  /** Lets what is under way finish, then ends the connection. */
  drain(): void | Promise<void>;
  /** Ends the connection now. */
  close(reason: FerryError): void;
}

/** Where connections come from: a `Deno.Listener`, or anything that accepts like one. */
export interface ConnectionSource<Conn> {
  /** The next connection. */
  accept(): Promise<Conn>;
  /** Accepts no more; a pending accept fails. */
  close(): void;
}

/** What becomes of the connections that are accepted. */
export interface AcceptOptions<Conn> {
  /** Decides which connections are admitted. */
  limits: ConnectionLimits;
  /** Tells the time. */
  clock: Clock;
  /** Begins to serve a connection. Where it fails, the connection is closed. */
  begin(conn: Conn): ConnectionHandler;
  /** Begins to reply to a client why its connection is rejected, where the protocol has a way to. */
  reject?: ((conn: Conn, reason: FerryError) => ConnectionHandler) | undefined;
}

/** What an accept loop needs to know of a connection. */
interface AcceptedConn {
  /** Where it comes from. */
  readonly remoteAddr: { readonly hostname: string };
  /** Ends it. */
  close(): void;
}

/** Accepts connections until it is closed. */
export class AcceptLoop<Conn extends AcceptedConn> implements Listener {
  readonly listening: Listening;
  readonly #source: ConnectionSource<Conn>;
  readonly #options: AcceptOptions<Conn>;
  /** The handlers of the connections that are open, and what resolves at the end of each. */
  readonly #open = new Map<ConnectionHandler, Promise<void>>();
  #accepting: Promise<void> | undefined;
  readonly #stop = new AbortController();
  #closing: Promise<void> | undefined;

  private constructor(
    listening: Listening,
    source: ConnectionSource<Conn>,
    options: AcceptOptions<Conn>,
  ) {
    this.listening = listening;
    this.#source = source;
    this.#options = options;
  }

  /** Begins to accept the connections of a source. */
  static start<Conn extends AcceptedConn>(
    listening: Listening,
    source: ConnectionSource<Conn>,
    options: AcceptOptions<Conn>,
  ): AcceptLoop<Conn> {
    const loop = new AcceptLoop(listening, source, options);
    loop.#accepting = loop.#accept();
    return loop;
  }

  close(drainTimeout: number): Promise<void> {
    return this.#closing ??= this.#close(drainTimeout);
  }

  async #accept(): Promise<void> {
    const { signal } = this.#stop;
    let pause = BACKOFF.first;
    while (!signal.aborted) {
      try {
        const conn = await this.#source.accept();
        pause = BACKOFF.first;
        this.#serve(conn);
      } catch (error) {
        if (signal.aborted) return;
        // Out of file descriptors, or the peer left before it was accepted: the next accept may succeed.
        this.#log("Cannot accept a connection on {listener}: {message} ({code})", error);
        await sleep(this.#options.clock, pause, signal).catch(() => {});
        pause = Math.min(pause * 2, BACKOFF.longest);
      }
    }
  }

  #serve(conn: Conn): void {
    const { limits, begin, reject } = this.#options;
    let admission: Admission | undefined;
    const end = (handler?: ConnectionHandler) => {
      if (handler) this.#open.delete(handler);
      admission?.[Symbol.dispose]();
    };
    const fail = (error: unknown) => {
      this.#log("Cannot serve a connection on {listener}: {message} ({code})", error);
      closeQuietly(conn);
    };
    try {
      admission = limits.admit(conn.remoteAddr.hostname);
      const { rejection, mayReply } = admission;
      const handler = rejection ? (mayReply ? reject?.(conn, rejection) : undefined) : begin(conn);
      if (handler) {
        this.#open.set(handler, handler.run().catch(fail).then(() => end(handler)));
        return;
      }
      closeQuietly(conn);
    } catch (error) {
      fail(error);
    }
    end();
  }

  #log(text: string, error: unknown): void {
    logFailure(text, error, { properties: { listener: this.listening.kind }, level: "warn" });
  }

  async #close(drainTimeout: number): Promise<void> {
    this.#stop.abort();
    closeQuietly(this.#source);
    await this.#accepting;
    const { clock } = this.#options;
    const abandoned = Promise.withResolvers<void>();
    let timer: Timer = clock.setTimeout(() => {
      const reason = new FerryError("closed", "the server is shutting down");
      for (const handler of this.#open.keys()) {
        guarded("end a connection", () => handler.close(reason));
      }
      timer = clock.setTimeout(abandoned.resolve, ENDING_MS);
    }, drainTimeout);
    for (const handler of this.#open.keys()) {
      guarded("let a connection end", () => handler.drain());
    }
    await Promise.race([Promise.all(this.#open.values()), abandoned.promise]);
    clock.clearTimeout(timer);
  }
}

/**
 * Listens for TCP connections.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` where the address cannot be listened on
 */
export function listenTcp(
  kind: ListenerKind,
  address: Address,
  options: AcceptOptions<Deno.TcpConn>,
): Listener {
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen(address);
  } catch (error) {
    throw toFerryError(error).during(`listen on ${formatAddress(address)}`);
  }
  const { hostname, port } = listener.addr;
  return AcceptLoop.start({ kind, hostname, port }, listener, options);
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed by the runtime already, after an error.
  }
}
