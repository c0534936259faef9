/**
 * A connection of a client, from its admission to its end. Its requests are answered one after the other.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { FerryError } from "../../../lib/core/errors.ts";
import { guarded } from "../../observe/failures.ts";
import type { ClientConnection } from "../../observe/traffic.ts";
import { answer, subjectOf } from "./answer.ts";
import { Connection, type ConnectionOptions } from "./exchange/connection.ts";
import type { HttpService } from "./exchange/exchange.ts";
import { RequestBody } from "./exchange/request_body.ts";
import { type Refusal, refuse } from "./refusal.ts";

const logger = getLogger(["ferry", "server"]);

/** So many requests of one connection may wait while another one is answered. A client that sends more is left. */
const MAX_WAITING = 100;

/** Options of a {@linkcode ServedConnection}. */
export interface ServedConnectionOptions extends ConnectionOptions {
  /** What all requests share. */
  readonly service: HttpService;
  /** Why the connection is not admitted: what its requests are answered; undefined if it is admitted. */
  readonly rejection: FerryError | undefined;
}

/** A request that has not been answered. */
interface Arrived {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: RequestBody;
}

/** A connection whose requests are answered. */
export class ServedConnection {
  readonly #options: ServedConnectionOptions;
  readonly #connection: Connection;
  readonly #client: ClientConnection;
  /** How many requests have been begun. */
  #requests = 0;
  /** Requests that arrived while another one was answered. */
  readonly #waiting: Arrived[] = [];
  #current: Arrived | undefined;
  /** Whether nothing is read until the waiting requests are answered. */
  #paused = false;
  #draining = false;
  /** The response to what came after the last request. */
  #refusal: Refusal | undefined;
  readonly #ended = Promise.withResolvers<void>();

  /** @param socket the socket, whose TLS handshake is done if there is one; this owns it from now on */
  constructor(socket: Socket, options: ServedConnectionOptions) {
    this.#options = options;
    this.#connection = new Connection(socket, options, {
      onLate: () => this.#late(),
      isSending: () => this.#unanswered.some(({ request }) => !request.complete),
    });
    const { traffic, secure } = options.service;
    const { peer: address } = this.#connection;
    this.#client = traffic.open({
      listener: secure ? "https" : "http",
      peer: address,
      close: () => this.destroy(),
    });
    const peer = this.#client.name;
    logger.debug("{peer} connected to HTTP", { peer });
    socket.on("error", () => {});
    // The client may have ended only its own direction, and may wait for responses.
    socket.once("end", () => {
      for (const { body } of this.#unanswered) body.cut();
    });
    socket.once("close", () => {
      logger.debug("{peer} disconnected from HTTP", { peer });
      this.#client.end();
      this.#settle();
    });
  }

  /** Resolves when the connection is closed and its last request was answered. Never fails. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Answers a request, after those before it. */
  take(request: IncomingMessage, response: ServerResponse, awaitsContinue: boolean): void {
    const connection = this.#connection;
    // What comes after the last response is not asked for.
    if (connection.isClosing) return connection.destroy();
    response.on("error", () => {});
    const body = new RequestBody({ request, response, connection, awaitsContinue });
    const arrived = { request, response, body };
    if (!this.#current) return this.#start(arrived);
    this.#waiting.push(arrived);
    // Otherwise requests that are cheap to send would fill the memory while the client does not take a response.
    if (!this.#paused) connection.socket.pause();
    this.#paused = true;
    if (this.#waiting.length > MAX_WAITING) connection.destroy();
  }

  #start(arrived: Arrived): void {
    this.#current = arrived;
    guarded("answer a request", () => this.#answer(arrived));
  }

  async #answer(arrived: Arrived): Promise<void> {
    const { response } = arrived;
    const { service, rejection: refusal } = this.#options;
    const connection = this.#connection;
    const operation = this.#client.begin(++this.#requests, subjectOf(arrived.request));
    connection.awaitNothing();
    if (this.#isLast) response.shouldKeepAlive = false;
    const closed = Promise.withResolvers<void>();
    response.once("close", closed.resolve);
    connection.socket.once("close", closed.resolve);
    await answer(service, { ...arrived, connection, operation, refusal });
    // The client may be slow to take the rest.
    if (!response.closed) connection.awaitClient();
    await closed.promise;
    connection.socket.removeListener("close", closed.resolve);
    connection.awaitClient();
    this.#current = undefined;
    const next = this.#waiting.shift();
    // The next one may have a body.
    if (this.#paused && this.#waiting.length === 0) {
      this.#paused = false;
      connection.socket.resume();
    }
    if (next && !connection.socket.destroyed) return this.#start(next);
    if (this.#refusal) this.refuse(this.#refusal);
    else if (this.#draining) connection.socket.destroySoon();
    this.#settle();
  }

  /** The requests that are being answered or wait for it. */
  get #unanswered(): Arrived[] {
    return this.#current ? [this.#current, ...this.#waiting] : [];
  }

  /** Whether the current response is the last one. */
  get #isLast(): boolean {
    if (this.#options.rejection) return true;
    return this.#draining && this.#waiting.length === 0;
  }

  #settle(): void {
    if (!this.#current && this.#connection.socket.destroyed) this.#ended.resolve();
  }

  /** Takes notice that what arrives cannot be understood, and that nothing can be understood after it. */
  refuse(refusal: Refusal): void {
    if (this.#connection.isClosing) return;
    this.#connection.stopReading();
    const last = this.#unanswered.at(-1);
    if (!last) {
      this.#client.begin(++this.#requests).end(refusal.failure);
      return refuse(this.#connection, refusal);
    }
    if (last.request.complete) {
      // It comes after requests that are still being answered.
      this.#refusal ??= refusal;
    } else {
      // It is in the body of a request, to which its handler responds.
      last.body.fail(refusal.failure);
      this.#draining = true;
    }
  }

  #late(): void {
    if (this.#current || !this.#connection.hasPart) return this.#connection.destroy();
    const reason = "the header of the request did not arrive in time";
    this.refuse({ failure: new FerryError("timeout", reason), status: undefined });
  }

  /** Lets the running request finish, then ends the connection. */
  drain(): void {
    this.#draining = true;
    if (this.#current) this.#current.response.shouldKeepAlive = false;
    else this.#connection.destroy();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#connection.destroy();
  }
}
