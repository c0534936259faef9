/**
 * UDP sockets. Those of Deno are much faster than those of `node:dgram`, but exist only with `--unstable-net` or the
 * same setting in deno.json. Without it, `node:dgram` is used.
 *
 * @module
 */

import type { Socket } from "node:dgram";
import { type Address, formatAddress } from "../core/address.ts";
import { FerryError, toFerryError } from "../core/errors.ts";

/** The largest datagram over IPv4, in bytes: 65535 minus the headers of IP and UDP (RFC 768). */
export const MAX_DATAGRAM_BYTES = 65507;

/**
 * The receive buffer in bytes. No datagram is larger, not even over IPv6. A smaller buffer would silently truncate
 * datagrams.
 */
const BUFFER_BYTES = 65536;

/** The maximum number of received datagrams that are queued for receive() with `node:dgram`; more are dropped. */
const MAX_QUEUED = 256;

/** A received datagram. */
export interface Datagram {
  /** Its bytes, valid until the next one is received. */
  bytes: Uint8Array;
  /** The address that it claims to come from, which anybody can forge. */
  from: Address;
}

/** A UDP socket. */
export interface DatagramSocket extends Disposable {
  /** The address that it is bound to, with the actual port. */
  readonly address: Address;
  /**
   * Waits for a datagram; null when the socket was closed. Only one call may be pending.
   *
   * @throws {FerryError} the error that the system reports; a later call may succeed
   */
  receive(): Promise<Datagram | null>;
  /**
   * Sends a datagram. Its bytes must not change before the promise is settled.
   *
   * @throws {FerryError} the error that the system reports: `unreachable`, `too_large`
   */
  send(bytes: Uint8Array, to: Address): Promise<void>;
  /** Closes the socket. A pending receive() resolves to null. */
  close(): void;
}

/** Options of {@linkcode openDatagramSocket}. */
export interface DatagramSocketOptions {
  /** Whether Deno's own sockets are used. Default: if they exist. */
  native?: boolean;
}

/**
 * Opens a UDP socket.
 *
 * @param address where to bind it: a name or an IP address; port 0 picks a free port
 * @throws {FerryError} `io`, `denied`, `unreachable` if it cannot be bound
 */
export async function openDatagramSocket(
  address: Address,
  { native = Deno.listenDatagram !== undefined }: DatagramSocketOptions = {},
): Promise<DatagramSocket> {
  try {
    return native ? new NativeSocket(address) : await NodeSocket.open(address);
  } catch (error) {
    throw toFerryError(error).during(`listen on ${formatAddress(address)}`);
  }
}

class NativeSocket implements DatagramSocket {
  readonly address: Address;
  readonly #conn: Deno.DatagramConn;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #closed = false;

  constructor({ hostname, port }: Address) {
    this.#conn = Deno.listenDatagram({ transport: "udp", hostname, port });
    const addr = this.#conn.addr as Deno.NetAddr;
    this.address = { hostname: addr.hostname, port: addr.port };
  }

  async receive(): Promise<Datagram | null> {
    try {
      const [bytes, from] = await this.#conn.receive(this.#buffer);
      return { bytes, from: from as Deno.NetAddr };
    } catch (error) {
      if (this.#closed) return null;
      throw toFerryError(error);
    }
  }

  async send(bytes: Uint8Array, { hostname, port }: Address): Promise<void> {
    try {
      await this.#conn.send(bytes, { transport: "udp", hostname, port });
    } catch (error) {
      throw sendError(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class NodeSocket implements DatagramSocket {
  readonly address: Address;
  readonly #socket: Socket;
  readonly #queue: (Datagram | FerryError)[] = [];
  #arrival = Promise.withResolvers<void>();
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.address = { hostname: address, port };
    socket.on("message", ({ buffer, byteOffset, byteLength }, { address, port }) => {
      // Unlike that of Uint8Array, slice() of Node's Buffer does not copy, so a Uint8Array is made first.
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      this.#take({ bytes, from: { hostname: address, port } });
    });
    socket.on("error", (error) => this.#take(toFerryError(error)));
  }

  static async open({ hostname, port }: Address): Promise<NodeSocket> {
    const { createSocket } = await import("node:dgram");
    const socket = createSocket({ type: hostname.includes(":") ? "udp6" : "udp4" });
    const bound = Promise.withResolvers<void>();
    socket.once("error", bound.reject);
    socket.bind(port, hostname, bound.resolve);
    try {
      await bound.promise;
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.off("error", bound.reject);
    return new NodeSocket(socket);
  }

  #take(what: Datagram | FerryError): void {
    // Datagrams that arrive faster than they are received are dropped, as the system does, too.
    if (this.#queue.length < MAX_QUEUED) this.#queue.push(what);
    this.#arrival.resolve();
  }

  async receive(): Promise<Datagram | null> {
    while (this.#queue.length === 0 && !this.#closed) {
      this.#arrival = Promise.withResolvers();
      await this.#arrival.promise;
    }
    if (this.#closed) return null;
    const next = this.#queue.shift()!;
    if (next instanceof FerryError) throw next;
    return next;
  }

  async send(bytes: Uint8Array, { hostname, port }: Address): Promise<void> {
    if (this.#closed) throw new FerryError("closed", "the socket was closed");
    const sent = Promise.withResolvers<void>();
    try {
      this.#socket.send(bytes, port, hostname, (error) => {
        if (error) sent.reject(error);
        else sent.resolve();
      });
      await sent.promise;
    } catch (error) {
      throw sendError(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#arrival.resolve();
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The codes of errors about a destination that cannot exist: port 0, an address of another family. */
const NO_DESTINATION: readonly unknown[] = ["EINVAL", "EAFNOSUPPORT", "ERR_SOCKET_BAD_PORT"];

function sendError(error: unknown): FerryError {
  const { code } = error as { code?: unknown };
  if (code === "EMSGSIZE") {
    return new FerryError("too_large", "the network takes no datagram of that length", {
      cause: error,
    });
  }
  if (NO_DESTINATION.includes(code)) {
    return new FerryError("unreachable", "nothing can be sent to such an address", {
      cause: error,
    });
  }
  return toFerryError(error);
}
