/**
 * Listeners of a server, and their accept loop. The loop survives failures of single connections, keeps track of all
 * open connections, and shuts them down in an orderly way.
 *
 * @module
 */

import {
  type Address,
  formatAddress,
  type ListenerKind,
  type Listening,
} from "../../lib/core/address.ts";
import { closeQuietly } from "../../lib/core/close_quietly.ts";
import { type Clock, sleep, type Timer } from "../../lib/core/clock.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { guarded, logFailure } from "../observe/failures.ts";
import type { Traffic } from "../observe/traffic.ts";
import type { Admission, ConnectionLimits } from "./connection_limits.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
const BACKOFF = { first: 5, longest: 1000 };

/**
 * How long the handler of a connection may take to end after it was told to, in milliseconds. This is longer than
 * commands get before they are killed. A handler that reads a large file for its checksum only notices at the end of
 * the file.
 */
const ENDING_MS = 3000;

/** Where to listen. */
export interface ListenAddress extends Address {
  /** Whether other processes may listen there, too, and each gets a part of the connections. Default: false. */
  readonly reusePort?: boolean | undefined;
}

/** A listener of a server. */
export interface Listener {
  /** The address that it listens on, with the actual port. */
  readonly listening: Listening;
  /**
   * Stops accepting connections, lets running requests finish within `drainTimeout` milliseconds, then closes the rest.
   * Resolves when all connections have ended, except for those whose handlers do not end when told to. Never fails.
   */
  close(drainTimeout: number): Promise<void>;
}

/** Serves one connection. */
export interface ConnectionHandler {
  /** Serves the connection until either side ends it. Resolves when it is closed; fails only for unexpected errors. */
  run(): Promise<void>;
  /** Lets running requests finish, then ends the connection. */
  drain(): void | Promise<void>;
  /** Closes the connection immediately. */
  close(reason: FerryError): void;
}

/** A source of connections: a `Deno.Listener`, or anything that accepts like one. */
export interface ConnectionSource<Conn> {
  /** Waits for the next connection. */
  accept(): Promise<Conn>;
  /** Stops accepting; a pending accept fails. */
  close(): void;
}

/** Options of {@linkcode AcceptLoop.start}. */
export interface AcceptOptions<Conn> {
  /** Decides which connections are admitted. */
  limits: ConnectionLimits;
  /** Takes note of clients that are turned away. */
  traffic: Traffic;
  /** The clock. */
  clock: Clock;
  /** Starts serving a connection. If it throws, the connection is closed. */
  begin(conn: Conn): ConnectionHandler;
  /**
   * Starts replying to a client why its connection is rejected. Default: undefined, the protocol has no way to do so.
   */
  reject?: ((conn: Conn, reason: FerryError) => ConnectionHandler) | undefined;
}

/** The part of a connection that an accept loop needs. */
interface AcceptedConn {
  /** The address of the peer. */
  readonly remoteAddr: Address;
  /** Closes it. */
  close(): void;
}

/** Accepts connections until it is closed. */
export class AcceptLoop<Conn extends AcceptedConn> implements Listener {
  readonly listening: Listening;
  readonly #source: ConnectionSource<Conn>;
  readonly #options: AcceptOptions<Conn>;
  /** The handlers of the open connections, each with a promise that resolves at its end. */
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

  /** Starts accepting the connections of a source. */
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
        // Out of file descriptors, or the peer disconnected before it was accepted: the next accept may succeed.
        this.#log("Cannot accept a connection on {listener}: {reason} ({code})", error);
        await sleep(this.#options.clock, pause, signal).catch(() => {});
        pause = Math.min(pause * 2, BACKOFF.longest);
      }
    }
  }

  #serve(conn: Conn): void {
    const { limits, begin, reject, traffic } = this.#options;
    let admission: Admission | undefined;
    const end = (handler?: ConnectionHandler) => {
      if (handler) this.#open.delete(handler);
      admission?.[Symbol.dispose]();
    };
    const fail = (error: unknown) => {
      this.#log("Cannot serve a connection on {listener}: {reason} ({code})", error);
      closeQuietly(conn);
    };
    try {
      admission = limits.admit(conn.remoteAddr.hostname);
      const { rejection, mayReply } = admission;
      if (rejection) {
        traffic.refused({
          peer: conn.remoteAddr,
          listener: this.listening.kind,
          reason: "limit",
        });
      }
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
 * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
 */
export function listenTcp(
  kind: ListenerKind,
  { hostname: host, port: wanted, reusePort = false }: ListenAddress,
  options: AcceptOptions<Deno.TcpConn>,
): Listener {
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname: host, port: wanted, reusePort });
  } catch (error) {
    const address = formatAddress({ hostname: host, port: wanted });
    throw toFerryError(error).during(`listen on ${address}`);
  }
  const { hostname, port } = listener.addr;
  return AcceptLoop.start({ kind, hostname, port }, listener, options);
}
