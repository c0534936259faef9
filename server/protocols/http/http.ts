/**
 * Serves HTTP: listens, and hands each request to its handler.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type Address, formatAddress, type Listening } from "../../../lib/core/address.ts";
import { toFerryError } from "../../../lib/core/errors.ts";
import { sourceOf } from "../../../lib/core/source_address.ts";
import { Identity } from "../../auth/identity.ts";
import type { ConnectionLimits } from "../../net/connection_limits.ts";
import type { Listener } from "../../net/listener.ts";
import type { KeyPair } from "../../net/tls_listener.ts";
import { guarded, logFailure } from "../../observe/failures.ts";
import { Exchange, type HttpService } from "./exchange/exchange.ts";
import { HttpFailure } from "./exchange/problem.ts";
import { RequestBody } from "./exchange/request_body.ts";
import { parseTarget } from "./exchange/target.ts";
import { handlerOf } from "./routes.ts";

/** Options of {@linkcode listenHttp}. */
export interface HttpOptions {
  /** What all requests share. */
  readonly service: HttpService;
  /** The certificate; undefined for connections that are not encrypted. */
  readonly tls: KeyPair | undefined;
  /** Decides which connections are admitted. */
  readonly limits: ConnectionLimits;
  /** The time limit for the header of a request, in milliseconds. */
  readonly handshakeTimeout: number;
  /** The idle timeout in milliseconds. */
  readonly idleTimeout: number;
  /** The minimum transfer rate during a request, in bytes per second. */
  readonly minRate: number;
}

/** A listener for HTTP. */
export interface HttpListener extends Listener {
  /** Uses another certificate for new connections. */
  replace(keyPair: KeyPair): void;
}

/**
 * Listens for HTTP.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
 */
export async function listenHttp(address: Address, options: HttpOptions): Promise<HttpListener> {
  const { tls } = options;
  const answer =
    (awaitsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) =>
      guarded("answer a request", () => serve(request, response, { awaitsContinue, options }));
  const server = tls ? createTlsServer({ ...tls }) : createServer();
  server.on("request", answer(false));
  server.on("checkContinue", answer(true));
  return {
    listening: await listening(server, address, tls ? "https" : "http"),
    async close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
    replace: (keyPair) => (server as ReturnType<typeof createTlsServer>).setSecureContext(keyPair),
  };
}

async function listening(
  server: Server,
  address: Address,
  kind: "http" | "https",
): Promise<Listening> {
  const { hostname, port } = address;
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(port, hostname, () => listening.resolve());
  try {
    await listening.promise;
  } catch (error) {
    throw toFerryError(error).during(`listen on ${formatAddress(address)}`);
  }
  const bound = server.address() as { address: string; port: number };
  return { kind, hostname: bound.address, port: bound.port };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { awaitsContinue, options: { service } }: { awaitsContinue: boolean; options: HttpOptions },
): Promise<void> {
  const source = sourceOf(request.socket.remoteAddress ?? "");
  const exchange = (text: string) =>
    new Exchange({
      service,
      request,
      response,
      target: parseTarget(text),
      body: new RequestBody(request, response, awaitsContinue),
      caller: new Identity(service.authority, source),
      view: { base: "", prefix: "" },
    });
  try {
    const asked = exchange(request.url ?? "");
    await handlerOf(asked)(asked);
  } catch (error) {
    const known = error instanceof HttpFailure;
    const failure = known ? error.failure : toFerryError(error);
    logFailure("{message} ({code})", failure);
    if (response.headersSent) return void request.socket.destroy();
    const fields = { connection: "close", ...known ? error.fields : {} };
    exchange("/").problem(failure, known ? error.status : undefined, fields);
  }
}
