/**
 * Serves HTTP: listens, and admits connections.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Address, formatAddress } from "../../../lib/core/address.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { Sessions } from "../../auth/sessions.ts";
import { ShownTokens } from "../../auth/shown_tokens.ts";
import type { ConnectionLimits } from "../../net/connection_limits.ts";
import type { ListenAddress, Listener } from "../../net/listener.ts";
import { keepListening, listenNode } from "../../net/node_listener.ts";
import { REJECTION_MS } from "../../net/rejection.ts";
import type { KeyPair } from "../../net/tls_listener.ts";
import { guarded } from "../../observe/failures.ts";
import type { Refusal } from "../../observe/operation.ts";
import type { HttpService } from "./exchange/exchange.ts";
import { NO_TUNNEL, refusalOf } from "./refusal.ts";
import { ServedConnection } from "./served_connection.ts";
import { peerOf, prepareTls, tlsOptions } from "./tls.ts";

const logger = getLogger(["ferry", "server"]);

/** The maximum size of the header of a request, in bytes. */
const MAX_HEADER_BYTES = 32 * 1024;

/** How long requests may take to end after their connections were closed, in milliseconds. */
const ENDING_MS = 3000;

/** Options of {@linkcode listenHttp}. */
export interface HttpOptions {
  /** What all requests share; the rest is derived from it. */
  readonly service: Omit<HttpService, "tokens" | "sessions">;
  /** The certificate; undefined for connections that are not encrypted. */
  readonly tls: KeyPair | undefined;
  /** Decides which connections are admitted. */
  readonly limits: ConnectionLimits;
  /** The time limit for the TLS handshake, and then for the header of the first request, in milliseconds. */
  readonly handshakeTimeout: number;
  /** The idle timeout in milliseconds. */
  readonly idleTimeout: number;
  /** The minimum transfer rate during a request, in bytes per second. */
  readonly minRate: number;
}

/** A listener for HTTP. */
export interface HttpListener extends Listener {
  /**
   * Uses another certificate for new connections.
   *
   * @throws {FerryError} `usage` if certificate and key are not valid or do not match; the old pair stays in use then
   */
  replace(keyPair: KeyPair): void;
}

/**
 * Listens for HTTP.
 *
 * @throws {FerryError} `usage` if the certificate or the key is not valid; `io`, `denied`, `unreachable` if the address
 * cannot be listened on
 */
export async function listenHttp(
  address: ListenAddress,
  options: HttpOptions,
): Promise<HttpListener> {
  const { tls } = options;
  const usual = {
    maxHeaderSize: MAX_HEADER_BYTES,
    requireHostHeader: false,
    noDelay: true,
    // Up to this many bytes of a body wait to be read, and each may be a chunk that takes 500 bytes of memory.
    highWaterMark: 4096,
  };
  const server = tls ? createTlsServer({ ...usual, ...tlsOptions(tls) }) : createServer(usual);
  // The deadlines of a connection take the place of these.
  server.headersTimeout = server.requestTimeout = server.keepAliveTimeout = 0;
  // No header field is dropped: their total size is limited.
  server.maxHeadersCount = 0;
  // A client may end its direction and wait for the response.
  Object.assign(server, { httpAllowHalfOpen: true });
  const connections = new Connections({ ...options, service: complete(options.service) });
  server.on("connection", (socket: Socket) => {
    guarded("admit a connection", () => connections.admit(socket));
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    guarded("admit a connection", () => connections.secured(socket));
  });
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    guarded("end a connection", () => connections.unsecured(socket, error));
  });
  const take = (awaitsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) =>
    guarded("answer a request", () => {
      connections.of(request.socket)?.take(request, response, awaitsContinue);
    });
  server.on("request", take(false));
  server.on("checkContinue", take(true));
  server.on("checkExpectation", take(false));
  server.on("clientError", (error: Error, socket: Socket) => {
    guarded("refuse a request", () => connections.failed(socket, error));
  });
  server.on("connect", ({ socket }: IncomingMessage) => {
    guarded("refuse a request", () => connections.of(socket)?.refuse(NO_TUNNEL));
  });
  const listening = await listenNode(server, address, tls ? "https" : "http");
  const accepting = keepListening(server);
  let closing: Promise<void> | undefined;
  return {
    listening,
    close(drainTimeout) {
      return closing ??= (async () => {
        accepting[Symbol.dispose]();
        server.close();
        await connections.close(drainTimeout);
      })();
    },
    replace(keyPair) {
      if (!(server instanceof TlsServer)) {
        throw new FerryError("usage", "it was started without TLS");
      }
      server.setSecureContext(tlsOptions(keyPair));
    },
  };
}

/** Adds what only HTTP needs. */
function complete(service: HttpOptions["service"]): HttpService {
  const { authority, records } = service;
  const tokens = new ShownTokens(authority);
  return { ...service, tokens, sessions: new Sessions(authority, records) };
}

type ConnectionsOptions = HttpOptions & { readonly service: HttpService };

/** The open connections of a listener. */
class Connections {
  readonly #options: ConnectionsOptions;
  /** By their sockets: the encrypted one where there are two. */
  readonly #served = new Map<Socket, ServedConnection>();
  /** Why connections were not admitted whose TLS handshake is not done, by their sockets. */
  readonly #beginning = new Map<Socket, FerryError | undefined>();
  #draining = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** The connection that a request arrived on. */
  of(socket: Socket): ServedConnection | undefined {
    return this.#served.get(socket);
  }

  /** Admits a connection that was just accepted. */
  admit(socket: Socket): void {
    if (this.#draining) return void socket.destroy();
    const { limits, tls } = this.#options;
    const admission = limits.admit(socket.remoteAddress ?? "");
    socket.once("close", () => admission[Symbol.dispose]());
    const { rejection, mayReply } = admission;
    if (rejection) {
      const { remoteAddress: hostname = "", remotePort: port = 0 } = socket;
      this.#refused({ hostname, port }, "limit");
    }
    if (rejection && !mayReply) return void socket.destroy();
    if (tls) this.#awaitHandshake(socket, rejection);
    else this.#serve(socket, rejection);
  }

  /** Ends a connection whose TLS handshake takes too long. */
  #awaitHandshake(socket: Socket, rejection: FerryError | undefined): void {
    const { service: { runtime: { clock } } } = this.#options;
    this.#beginning.set(socket, rejection);
    socket.on("error", () => {});
    const timer = clock.setTimeout(() => {
      if (this.#beginning.has(socket)) socket.destroy();
    }, this.#handshakeTimeout(rejection));
    socket.once("close", () => {
      clock.clearTimeout(timer);
      this.#beginning.delete(socket);
    });
  }

  /** Serves a connection whose TLS handshake is done. */
  secured(socket: TLSSocket): void {
    const plain = prepareTls(socket);
    const rejection = this.#beginning.get(plain);
    this.#beginning.delete(plain);
    if (this.#draining) return void socket.destroy();
    this.#serve(socket, rejection);
  }

  /** Ends a connection whose TLS handshake has failed. */
  unsecured(socket: TLSSocket, { message: why }: Error): void {
    // The message of the TLS library is meant for people.
    const peer = peerOf(socket);
    logger.info("{peer}: no TLS: {why}", { peer: formatAddress(peer), why });
    this.#refused(peer, "tls");
    socket.destroy();
  }

  #refused(peer: Address, reason: Refusal["reason"]): void {
    const { tls, service: { traffic } } = this.#options;
    traffic.refused({ peer, listener: tls ? "https" : "http", reason });
  }

  #serve(socket: Socket, rejection: FerryError | undefined): void {
    const handshakeTimeout = this.#handshakeTimeout(rejection);
    const { runtime } = this.#options.service;
    const options = { ...this.#options, runtime, handshakeTimeout, rejection };
    const connection = new ServedConnection(socket, options);
    this.#served.set(socket, connection);
    void connection.ended.then(() => this.#served.delete(socket));
  }

  #handshakeTimeout(rejection: FerryError | undefined): number {
    const { handshakeTimeout } = this.#options;
    return rejection ? Math.min(handshakeTimeout, REJECTION_MS) : handshakeTimeout;
  }

  /** Takes notice of an error that `node:http` reports of a connection. */
  failed(socket: Socket, error: Error): void {
    const refusal = refusalOf(error);
    if (refusal) this.of(socket)?.refuse(refusal);
    else socket.destroy();
  }

  /** Lets running requests finish within a time, then ends all connections. */
  async close(drainTimeout: number): Promise<void> {
    this.#draining = true;
    const { clock } = this.#options.service.runtime;
    const abandoned = Promise.withResolvers<void>();
    for (const socket of this.#beginning.keys()) socket.destroy();
    let timer = clock.setTimeout(() => {
      for (const connection of this.#served.values()) connection.destroy();
      timer = clock.setTimeout(abandoned.resolve, ENDING_MS);
    }, drainTimeout);
    const open = [...this.#served.values()];
    for (const connection of open) connection.drain();
    await Promise.race([Promise.all(open.map(({ ended }) => ended)), abandoned.promise]);
    clock.clearTimeout(timer);
  }
}
