/**
 * Accepting connections: one loop for every kind of listener that has them. It survives what goes wrong
 * with a single connection, knows all that are open, and ends them in order.
 *
 * @module
 */

import type { ListenerKind, Listening } from "../../lib/core/address.ts";
import { delay } from "@std/async/delay";
import { type Address, formatAddress } from "../../lib/core/address.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { Admission, Entry } from "./connection_limits.ts";
import { guarded, logFailure } from "../observe/failures.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
const BACKOFF = { first: 5, longest: 1000 };

/**
 * How long what serves a connection may take to end when it is told to, in milliseconds: longer than commands
 * have before they are killed. Who reads a large file for its checksum hears of nothing before its end.
 */
const ENDING_MS = 3000;

/** Something that a server listens with. */
export interface Listener {
  /** Where, with the real port. */
  readonly listening: Listening;
  /**
   * Takes nothing new, lets what is under way finish within `drainTimeout` milliseconds, then ends it.
   * Resolves when all of it has ended, but for what does not end when it is told to, and never fails.
   */
  close(drainTimeout: number): Promise<void>;
}

/** What serves one connection. */
export interface Served {
  /** Serves until either side ends the connection; resolves when it is closed. Only what nobody foresaw fails it. */
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
  /** Takes no more; a pending accept fails. */
  close(): void;
}

/** What becomes of the connections that are accepted. */
export interface AcceptOptions<Conn> {
  /** Decides whether a connection is taken. */
  admission: Admission;
  /** Begins to serve one. Where it fails, that one is closed. */
  begin(conn: Conn): Served;
  /** Begins to tell a client why its connection is not taken, where the protocol has a way to. */
  turnAway?: ((conn: Conn, refusal: FerryError) => Served) | undefined;
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
  /** The connections that are open, and what resolves at the end of each. */
  readonly #open = new Map<Served, Promise<void>>();
  readonly #accepting: Promise<void>;
  readonly #stop = new AbortController();
  #closing: Promise<void> | undefined;

  /** Starts at once. */
  constructor(
    listening: Listening,
    source: ConnectionSource<Conn>,
    options: AcceptOptions<Conn>,
  ) {
    this.listening = listening;
    this.#source = source;
    this.#options = options;
    this.#accepting = this.#accept();
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
        // Out of file descriptors, or a peer that left before it was accepted: later ones may do better.
        this.#log("Cannot accept a connection on {listener}: {message} ({code})", error);
        await delay(pause, { signal }).catch(() => {});
        pause = Math.min(pause * 2, BACKOFF.longest);
      }
    }
  }

  #serve(conn: Conn): void {
    const { admission, begin, turnAway } = this.#options;
    let entry: Entry | undefined;
    const end = (served?: Served) => {
      if (served) this.#open.delete(served);
      entry?.[Symbol.dispose]();
    };
    const fail = (error: unknown) => {
      this.#log("Cannot serve a connection on {listener}: {message} ({code})", error);
      closeQuietly(conn);
    };
    try {
      entry = admission.enter(conn.remoteAddr.hostname);
      const { refusal, isTold } = entry;
      const served = refusal ? (isTold ? turnAway?.(conn, refusal) : undefined) : begin(conn);
      if (served) {
        this.#open.set(served, served.run().catch(fail).then(() => end(served)));
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
    const abandoned = Promise.withResolvers<void>();
    let timer = setTimeout(() => {
      const reason = new FerryError("closed", "the server is shutting down");
      for (const served of this.#open.keys()) {
        guarded("end a connection", () => served.close(reason));
      }
      timer = setTimeout(abandoned.resolve, ENDING_MS);
    }, drainTimeout);
    for (const served of this.#open.keys()) {
      guarded("let a connection end", () => served.drain());
    }
    await Promise.race([Promise.all(this.#open.values()), abandoned.promise]);
    clearTimeout(timer);
  }
}

/**
 * Listens for TCP connections.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` where the address cannot be listened on
 */
export function acceptTcp(
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
  return new AcceptLoop({ kind, hostname, port }, listener, options);
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed by the runtime already, after an error.
  }
}
