/**
 * The server as a library: accepts connections, gives each a session, and ends them in order.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Address, formatAddress, isLoopback, parseAddress } from "../lib/address.ts";
import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import type { Storage } from "../lib/storage.ts";
import { type Scope, SCOPES } from "./access.ts";
import { Session } from "./session.ts";

const logger = getLogger(["ferry", "server"]);

/** The first and the longest pause after a failed accept, in milliseconds. */
const ACCEPT_BACKOFF = { first: 5, longest: 1000 };

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /** Where the files are. The server uses it and does not dispose of it. */
  storage: Storage;
  /** `HOST:PORT`; port 0 picks a free one. `127.0.0.1:9900` unless told otherwise. */
  listen?: string | undefined;
  /**
   * What anybody who connects may do. On a loopback address all of it unless told otherwise; any other
   * address is refused until it is told.
   */
  anonymous?: readonly Scope[] | undefined;
  /** Milliseconds after which a peer that moves no byte is disconnected; 60000 unless told otherwise. */
  idleTimeout?: number | undefined;
}

/** Where a server listens. */
export interface Listening extends Address {
  /** The kind of listener. */
  kind: "tcp";
}

/** A server that runs. */
export interface Server extends AsyncDisposable {
  /** Where it listens, with the real ports. */
  readonly addresses: readonly Listening[];
  /**
   * Takes no new connection, lets what is under way finish within `drainTimeout` milliseconds (10000
   * unless told otherwise), then ends it. Resolves when the last connection has ended.
   */
  close(options?: { drainTimeout?: number }): Promise<void>;
}

/**
 * Starts a server.
 *
 * @example Serving a directory
 * ```ts
 * import { FsStorage, serve } from "@ferry/ferry";
 *
 * await using storage = FsStorage.open(await Deno.makeTempDir());
 * await using server = await serve({ storage, listen: "127.0.0.1:0" });
 * console.log(server.addresses[0]?.port);
 * ```
 *
 * @throws {FerryError} `usage` for an address that is not on loopback without `anonymous`; `io`,
 * `denied`, `unreachable` where the address cannot be listened on
 */
// deno-lint-ignore require-await -- other listeners will have to wait
export async function serve(options: ServeOptions): Promise<Server> {
  const address = parseAddress(options.listen ?? "127.0.0.1");
  const { anonymous } = options;
  if (!isLoopback(address) && anonymous === undefined) {
    throw new FerryError(
      "usage",
      "others than this machine could connect: say with --anonymous SCOPES what anybody may do",
      { action: `listen on ${formatAddress(address)}` },
    );
  }
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen(address);
  } catch (error) {
    throw toFerryError(error).during(`listen on ${formatAddress(address)}`);
  }
  return new TcpServer(listener, options);
}

class TcpServer implements Server {
  readonly addresses: readonly Listening[];
  readonly #listener: Deno.TcpListener;
  readonly #options: ServeOptions;
  /** The sessions under way, and what resolves at the end of each. */
  readonly #sessions = new Map<Session, Promise<void>>();
  readonly #accepting: Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(listener: Deno.TcpListener, options: ServeOptions) {
    this.#listener = listener;
    this.#options = options;
    const { hostname, port } = listener.addr;
    this.addresses = [{ kind: "tcp", hostname, port }];
    this.#accepting = this.#accept();
  }

  async #accept(): Promise<void> {
    let pause = ACCEPT_BACKOFF.first;
    while (!this.#closing) {
      try {
        this.#begin(await this.#listener.accept());
        pause = ACCEPT_BACKOFF.first;
      } catch (error) {
        if (this.#closing) return;
        // Out of file descriptors, or a peer that left before it was accepted: later ones may do better.
        logger.warn("Cannot accept a connection: {reason}", { reason: toFerryError(error).reason });
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(pause * 2, ACCEPT_BACKOFF.longest);
      }
    }
  }

  #begin(conn: Deno.TcpConn): void {
    conn.setNoDelay(true);
    const { storage, anonymous = SCOPES, idleTimeout = 60_000 } = this.#options;
    const peer = formatAddress(conn.remoteAddr);
    const session = new Session(conn, { storage, granted: anonymous, idleTimeout, peer });
    this.#sessions.set(session, session.run().finally(() => this.#sessions.delete(session)));
  }

  close({ drainTimeout = 10_000 }: { drainTimeout?: number } = {}): Promise<void> {
    return this.#closing ??= this.#close(drainTimeout);
  }

  async #close(drainTimeout: number): Promise<void> {
    // The closing flag is set when this first waits; the accept loop looks at it only after that.
    await Promise.resolve();
    this.#listener.close();
    await this.#accepting;
    const deadline = setTimeout(() => {
      const reason = new FerryError("closed", "the server is shutting down");
      for (const session of this.#sessions.keys()) session.close(reason);
    }, drainTimeout);
    for (const session of this.#sessions.keys()) void session.drain();
    await Promise.all(this.#sessions.values());
    clearTimeout(deadline);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Reads scopes as people write them: `read,write`.
 *
 * @throws {FerryError} `usage`
 */
export function parseScopes(text: string): Scope[] {
  const names = text.split(",").map((name) => name.trim()).filter((name) => name !== "");
  return names.map((name) => {
    const scope = SCOPES.find((known) => known === name);
    if (scope) return scope;
    throw new FerryError("usage", `${quote(name)} is no scope; there are ${SCOPES.join(", ")}`);
  });
}
