/**
 * Exchanges over HTTP with a handler of a test's own.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRuntime, type Runtime } from "../../lib/runtime/runtime.ts";
import { SYSTEM_CLOCK } from "../../lib/core/clock.ts";
import type { Caller } from "../../server/auth/caller.ts";
import { Traffic } from "../../server/observe/traffic.ts";
import { Connection } from "../../server/protocols/http/exchange/connection.ts";
import {
  Exchange,
  type ExchangeParts,
  type Handler,
  type HttpService,
} from "../../server/protocols/http/exchange/exchange.ts";
import { RequestBody } from "../../server/protocols/http/exchange/request_body.ts";
import { parseTarget } from "../../server/protocols/http/exchange/target.ts";

/** A listener that hands each request to one handler. */
export class OneExchange implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    const { runtime } = this;
    const { socket } = request;
    const connection = new Connection(
      socket,
      { runtime, handshakeTimeout: 10_000, idleTimeout: 10_000, minRate: 0 },
      { onLate: () => socket.destroy(), isSending: () => false },
    );
    connection.awaitNothing();
    const body = new RequestBody({ request, response, connection, awaitsContinue: false });
    const target = parseTarget(request.url ?? "");
    const parts: Partial<ExchangeParts> = { connection, request, response, body, target };
    const caller = {} as Caller;
    const operation = this.#traffic.open({
      listener: "http",
      peer: connection.peer,
      close: () => socket.destroy(),
    }).begin(1);
    const service = { runtime } as HttpService;
    const exchange = new Exchange({ ...parts, service, caller, operation } as ExchangeParts);
    this.#handle(exchange).then(this.#handled.resolve, (error) => {
      connection.destroy();
      this.#handled.reject(error);
    });
  });
  readonly #traffic = new Traffic([], SYSTEM_CLOCK);
  readonly #handle: Handler;
  readonly #handled = Promise.withResolvers<void>();
  /** What the handler uses. */
  readonly runtime: Runtime;

  private constructor(handle: Handler, runtime: Runtime) {
    this.#handle = handle;
    this.runtime = runtime;
    this.#handled.promise.catch(() => {});
  }

  /** Starts it. */
  static async start(handle: Handler, runtime: Runtime = createRuntime()): Promise<OneExchange> {
    const fixture = new OneExchange(handle, runtime);
    // A client may end its direction and wait for the response.
    Object.assign(fixture.#server, { httpAllowHalfOpen: true });
    const { promise, resolve } = Promise.withResolvers<void>();
    fixture.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    return fixture;
  }

  /** The port that it listens on. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Settles as the handler does for the first request. */
  get handled(): Promise<void> {
    return this.#handled.promise;
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }
}
