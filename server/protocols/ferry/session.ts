/**
 * Serves one connection: reads requests and passes them to their handlers, in order, until either side ends the
 * connection.
 *
 * @module
 */

import { formatAddress } from "../../../lib/core/address.ts";
import { type ErrorCode, FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { parseRequest, type Request } from "../../../lib/wire/operations/operations.ts";
import type { Frame } from "../../../lib/wire/frames.ts";
import type { ByteStream } from "../../../lib/wire/byte_stream.ts";
import { logger, ServedConnection, type SessionOptions } from "./exchange/served_connection.ts";
import { Exchange } from "./exchange/exchange.ts";
import { subjectOf } from "./exchange/subject.ts";
import { handlerOf } from "./handlers/all.ts";

/** Errors after which the start of the next message is unknown: the connection ends after the error reply. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "bad_header",
  "checksum_mismatch",
  "busy",
]);

/** The state of the handshake phase of a connection, which has a deadline. */
interface Beginning {
  /** The time left for it, in milliseconds. */
  left: number;
  /** Whether a request has arrived. */
  asked: boolean;
}

/** Serves one connection until either side ends it. */
export class Session {
  readonly #connection: ServedConnection;
  readonly #options: SessionOptions;
  /** Whether it is waiting for a request. */
  #idle = false;
  /** The state of the handshake phase; undefined after it. */
  #beginning: Beginning | undefined;

  /** Creates a session on a connection that was just accepted. */
  constructor(stream: ByteStream, options: SessionOptions) {
    this.#options = options;
    this.#connection = new ServedConnection(stream, options);
    this.#beginning = { left: options.handshakeTimeout, asked: false };
  }

  /** Serves the connection. Resolves when it has ended, and never fails. */
  async run(): Promise<void> {
    const connection = this.#connection;
    const { wire, replies } = connection;
    const peer = formatAddress(this.#options.peer);
    logger.debug("{peer} connected", { peer });
    let failure: FerryError | undefined;
    // Disposed of in reverse order: first the connection ends, then pending publications finish, then the rest.
    await using ends = new AsyncDisposableStack();
    ends.defer(() => {
      logger.debug("{peer} disconnected", { peer });
      connection.client.end(failure);
    });
    ends.use(connection.stages);
    ends.defer(() => connection.releaseOffered());
    ends.defer(() => replies.settle().catch(() => {}));
    ends.defer(() => {
      wire.close();
      connection.freePlace();
    });
    try {
      let goOn = true;
      while (goOn && !connection.draining) {
        if (!wire.hasHeader()) await connection.flush();
        this.#idle = true;
        const frame = await this.#nextInTime();
        this.#idle = false;
        goOn = frame !== null && await this.#answer(frame);
      }
      await replies.settle();
      await wire.closeGracefully();
    } catch (error) {
      failure = connection.left(toFerryError(error));
    }
  }

  /** Lets running requests finish, then ends. */
  async drain(): Promise<void> {
    const connection = this.#connection;
    connection.draining = true;
    if (!this.#idle) return;
    await connection.replies.settle().catch(() => {});
    if (this.#idle) this.close(new FerryError("closed", "the server is shutting down"));
  }

  /** Closes the connection immediately. */
  close(reason: FerryError): void {
    this.#connection.close(reason);
  }

  /**
   * Like {@linkcode Session.#nextFrame}, but closes the connection if the client exceeds the deadline of the handshake
   * phase.
   */
  #nextInTime(): Promise<Frame | null> {
    const beginning = this.#beginning;
    if (beginning && !(beginning.asked && this.#mayDoAnything)) return this.#nextSoon(beginning);
    this.#beginning = undefined;
    return this.#nextFrame();
  }

  async #nextSoon(beginning: Beginning): Promise<Frame | null> {
    const what = beginning.asked ? "no token was shown" : "no request came";
    const seconds = this.#options.handshakeTimeout / 1000;
    const late = () => this.close(new FerryError("timeout", `${what} within ${seconds} s`));
    const started = performance.now();
    const timer = setTimeout(late, beginning.left);
    try {
      return await this.#nextFrame();
    } finally {
      clearTimeout(timer);
      beginning.asked = true;
      // Only the time spent waiting for the client counts, not the time that this side takes to answer.
      beginning.left -= performance.now() - started;
    }
  }

  /** Whether the client has any grant, or could not get one by logging in. */
  get #mayDoAnything(): boolean {
    const { mechanism, scopes } = this.#connection.identity;
    return mechanism === "none" || scopes.length > 0;
  }

  /** The next request; null if the connection has ended, or the next message cannot be understood. */
  async #nextFrame(): Promise<Frame | null> {
    const { wire } = this.#connection;
    try {
      return await wire.readFrame();
    } catch (error) {
      const failure = toFerryError(error);
      if (!UNREADABLE.has(failure.code)) throw failure;
      await this.#connection.refuse(failure.during("read a header"), this.#connection.begin());
      return null;
    }
  }

  /** Answers one request. Returns false if the connection cannot be used any more. */
  async #answer({ header, body }: Frame): Promise<boolean> {
    const connection = this.#connection;
    using _conversation = connection.wire.converse();
    const operation = connection.begin(body);
    let request: Request | undefined;
    try {
      request = parseRequest(header);
      operation.subject = subjectOf(request);
      const handler = handlerOf(request);
      const permit = connection.identity.permit(request);
      const exchange = new Exchange(connection, { handler, request, body, permit, operation });
      if (!body.ended) await connection.flush();
      if (handler.overlaps) return await handler.answer(exchange);
      await connection.releaseOffered();
      // All requests except puts wait for earlier puts, so that they see their results.
      await (handler.follows ? connection.replies.effective() : connection.replies.written());
      permit.assert();
      if (handler.readsBody) return await handler.answer(exchange);
      if (!await body.drain()) {
        const reason = "the request takes no body, and has a large one";
        await connection.refuse(
          new FerryError("too_large", reason).during(exchange.action),
          operation,
        );
        return false;
      }
      permit.assert();
      return await handler.answer(exchange);
    } catch (error) {
      const action = request ? handlerOf(request).action(request) : "understand the request";
      await connection.refuse(toFerryError(error).during(action), operation);
      return await connection.skip(body);
    }
  }
}
