/**
 * The server as a library: opens the listeners that are asked for, and ends them in order.
 *
 * @module
 */

import { formatAddress, isLoopback, parseAddress } from "../lib/address.ts";
import { FerryError, quote } from "../lib/errors.ts";
import type { Storage } from "../lib/storage.ts";
import { acceptTcp, type Listener, type Listening } from "./accept.ts";
import { type Scope, SCOPES } from "./access.ts";
import { Session } from "./session.ts";

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
  /**
   * How many bytes a second a peer has to move, on an average over the idle time, while a message of it is under
   * way; 100 unless told otherwise, and 0 for any number.
   */
  minRate?: number | undefined;
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
export async function serve(options: ServeOptions): Promise<Server> {
  const listeners: Listener[] = [];
  try {
    for (const open of wanted(options)) listeners.push(await open());
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close(0)));
    throw error;
  }
  return new ListeningServer(listeners);
}

/** How to open each of the listeners that are asked for. */
function wanted(options: ServeOptions): (() => Listener | Promise<Listener>)[] {
  return [() => listenForSessions(options)];
}

function listenForSessions(options: ServeOptions): Listener {
  const { storage, anonymous, idleTimeout = 60_000, minRate = 100 } = options;
  const address = parseAddress(options.listen ?? "127.0.0.1");
  if (!isLoopback(address) && anonymous === undefined) {
    throw new FerryError(
      "usage",
      "others than this machine could connect: say with --anonymous SCOPES what anybody may do",
      { action: `listen on ${formatAddress(address)}` },
    );
  }
  return acceptTcp("tcp", address, (conn) => {
    conn.setNoDelay(true);
    const peer = formatAddress(conn.remoteAddr);
    const granted = anonymous ?? SCOPES;
    return new Session(conn, { storage, granted, idleTimeout, minRate, peer });
  });
}

class ListeningServer implements Server {
  readonly addresses: readonly Listening[];
  readonly #listeners: readonly Listener[];
  #closing: Promise<void> | undefined;

  constructor(listeners: readonly Listener[]) {
    this.#listeners = listeners;
    this.addresses = listeners.map(({ listening }) => listening);
  }

  close({ drainTimeout = 10_000 }: { drainTimeout?: number } = {}): Promise<void> {
    const all = () => Promise.all(this.#listeners.map((listener) => listener.close(drainTimeout)));
    return this.#closing ??= all().then(() => {});
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
