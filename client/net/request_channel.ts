/**
 * Requests and their replies on a connection.
 *
 * @module
 */

import { FerryError, toFerryError, wasCut } from "../../lib/core/errors.ts";
import type { Algorithm } from "../../lib/core/checksum.ts";
import { parseReply } from "../../lib/wire/operations/operations.ts";
import { done, type Schema } from "../../lib/wire/schema.ts";
import { decodeLines } from "../../lib/wire/lines.ts";
import { sendStreamed } from "../../lib/transfer/send.ts";
import { verifiedChunks } from "../../lib/transfer/receive.ts";
import type { IncomingBody } from "../../lib/wire/body.ts";
import type { Frame, Wire } from "../../lib/wire/frames.ts";
import { EarlyRefusal } from "./early_refusal.ts";
import {
  assertAnswers,
  assertCompared,
  assertStreamed,
  type RequestHeader,
} from "./reply_check.ts";

/** How long to wait, in milliseconds, for the error reply of a server that closed the connection during a body. */
const REFUSAL_MS = 2000;

/**
 * How many pipelined requests may wait for their replies, and how many bytes of body they may have together. At either
 * limit, nothing is sent until half of them are answered, so that the next ones are sent together.
 */
const WINDOW = { requests: 200, bytes: 8 * 1024 * 1024 };

/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>;

/** A value made of another one, at once where that is there. */
export function mapped<From, To>(
  value: MaybePromise<From>,
  map: (value: From) => To,
): MaybePromise<To> {
  return value instanceof Promise ? value.then(map) : map(value);
}

/** A request that is sent before the reply to the previous one has arrived. */
export interface PipelinedRequest {
  /** The header; with a body, it includes its checksum and `total_size`. */
  header: RequestHeader;
  /** The body. */
  body?: Uint8Array | undefined;
}

/** A pipelined request about one of many items. */
export interface PipelinedItem<Item> extends PipelinedRequest {
  /** The item. */
  item: Item;
}

/**
 * Sends requests and reads their replies, one request after the other. It closes the connection where it cannot tell
 * where the next reply begins.
 */
export class RequestChannel {
  readonly #wire: Wire;
  /** Resolve when the last request has been sent, and its reply read, of those that overlap. */
  #sent: Promise<void> = Promise.resolve();
  #read: Promise<void> = Promise.resolve();

  /** A channel on a connection whose handshake is done. */
  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Sends a request and returns its reply, which has no body. */
  async ask<Reply>(
    schema: Schema<Reply>,
    header: RequestHeader,
  ): Promise<Reply> {
    using _conversation = this.#wire.converse();
    await this.#wire.writeFrame(header);
    return await this.#reply(schema, header);
  }

  /**
   * Sends a request and passes its reply to `take`, which reads the body. Unread bytes are skipped where they are few;
   * else the connection is closed. Calls may overlap: each request is sent at once, and its reply is read when those to
   * the requests before it have been.
   *
   * @param body the body of the request; `header` includes its checksum and `total_size` then. Default: none
   */
  async fetch<T>(
    header: RequestHeader,
    take: (reply: Frame) => Promise<T>,
    body?: Uint8Array,
  ): Promise<T> {
    using _conversation = this.#wire.converse();
    const before = this.#read;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#read = promise;
    try {
      await this.#wire.writeFrame(header, body);
      await this.#wire.flush();
      await before;
      const reply = await this.#nextReply();
      return await this.#consume(reply.body, () => take(reply));
    } finally {
      resolve();
    }
  }

  /** Sends a request and yields the parsed lines of its reply's body, in batches as they arrive. */
  async *lines<T>(
    header: RequestHeader,
    decode: (line: string) => T,
  ): AsyncGenerator<T[], void, void> {
    using _conversation = this.#wire.converse();
    await this.#wire.writeFrame(header);
    yield* this.#lines(header, await this.#readReply(), decode);
  }

  async *#lines<T>(
    request: RequestHeader,
    { header, body }: Frame,
    decode: (line: string) => T,
  ): AsyncGenerator<T[], void, void> {
    try {
      assertAnswers(request, header);
      parseReply(done, header);
      assertStreamed(body);
      yield* decodeLines(verifiedChunks(body), decode);
    } finally {
      await this.#skip(body);
    }
  }

  /**
   * Sends a request with a body and returns its reply. A reply that arrives before the body is sent is an error, and
   * the rest is not sent.
   *
   * @param send sends the request and its body, until the server refuses it
   */
  async send<Reply>(
    schema: Schema<Reply>,
    header: RequestHeader,
    send: (wire: Wire, refusal: EarlyRefusal) => Promise<void>,
  ): Promise<Reply> {
    using _conversation = this.#wire.converse();
    const refusal = new EarlyRefusal();
    const hold = this.#holdWhileSending();
    const replying = this.#reply(schema, header);
    replying.catch((error) => refusal.refuse(toFerryError(error)));
    try {
      await send(this.#wire, refusal);
      await this.#wire.flush();
      hold[Symbol.dispose]();
      return await replying;
    } catch (reason) {
      hold[Symbol.dispose]();
      const error = toFerryError(reason);
      if (this.#wire.writable) {
        // The body was ended early with an error; the server still replies to it.
        await this.#wire.flush();
        await replying.catch(() => {});
        throw error;
      }
      // A server that refuses a body and closes the connection may have sent its error before.
      const hungUp = wasCut(error);
      if (hungUp) await settledWithin(REFUSAL_MS, replying);
      this.#wire.close();
      throw hungUp && refusal.error ? refusal.error : error;
    }
  }

  /**
   * Sends a request with a body, and returns its reply. Calls may overlap: each request is sent as soon as those before
   * it are. After a failure no other request can follow.
   *
   * @param send sends the request and its body
   */
  async sendNext<Reply>(
    schema: Schema<Reply>,
    header: RequestHeader,
    send: (wire: Wire) => Promise<void>,
  ): Promise<Reply> {
    using _conversation = this.#wire.converse();
    const sending = this.#sent.then(async () => {
      using _hold = this.#holdWhileSending();
      await send(this.#wire);
      await this.#wire.flush();
    });
    const replying = this.#read.then(() => this.#nextReply()).then(({ header: reply, body }) => {
      return this.#consume(body, () => {
        assertAnswers(header, reply);
        return parseReply(schema, reply);
      });
    });
    this.#sent = sending;
    this.#read = replying.then(() => {});
    this.#read.catch(() => {});
    let refused: FerryError | undefined;
    replying.catch((error) => refused = toFerryError(error));
    try {
      const [reply] = await Promise.all([replying, sending]);
      return reply;
    } catch (reason) {
      const error = toFerryError(reason);
      // A server that refuses a body and closes the connection may have sent its error before.
      if (wasCut(error)) await settledWithin(REFUSAL_MS, replying);
      this.#wire.close();
      await sending.catch(() => {});
      throw refused ?? error;
    }
  }

  /**
   * Sends a request with a streamed body and yields the parsed lines of its reply, which may begin before the whole
   * body is sent.
   */
  async *exchange<T>(
    header: RequestHeader,
    pieces: AsyncIterable<Uint8Array>,
    { decode, algorithm }: { decode: (line: string) => T; algorithm: Algorithm },
  ): AsyncGenerator<T[], void, void> {
    using _conversation = this.#wire.converse();
    const sending = (async () => {
      using _hold = this.#holdWhileSending();
      const sent = await sendStreamed(this.#wire, header, pieces, { algorithm });
      await this.#wire.flush();
      return sent;
    })();
    let sent = false;
    sending.then(() => sent = true, () => {});
    try {
      const reply = await this.#nextReply();
      yield* this.#lines(header, reply, decode);
      assertCompared(reply.body, (await sending).checksum);
    } finally {
      // After an incomplete body, no other request can follow.
      if (!sent) this.#wire.close();
      await sending.catch(() => {});
    }
  }

  /**
   * Sends requests without waiting for the replies, and passes each reply to `take` as it arrives.
   *
   * @param next returns the next request; undefined where there are no more. It returns a promise only where it has to,
   * since there may be many thousands.
   * @param take reads the body; what it throws ends the pipeline. It returns a promise only where it has to.
   */
  async pipeline<Request extends PipelinedRequest>(
    next: () => MaybePromise<Request | undefined>,
    take: (reply: Frame, request: Request) => MaybePromise<void>,
  ): Promise<void> {
    using _conversation = this.#wire.converse();
    const waiting: Request[] = [];
    let bytes = 0;
    let ended = false;
    let failure: unknown;
    let changed: PromiseWithResolvers<void> | undefined;
    const change = () => {
      changed?.resolve();
      changed = undefined;
    };
    const untilChange = () => (changed ??= Promise.withResolvers()).promise;
    const reading = (async () => {
      for (;;) {
        while (waiting.length === 0 && !ended) await untilChange();
        const [request] = waiting;
        if (!request) return;
        const reply = await this.#nextReply();
        try {
          const taking = take(reply, request);
          if (taking) await taking;
        } finally {
          if (!reply.body.ended) await this.#skip(reply.body);
        }
        waiting.shift();
        bytes -= request.body?.length ?? 0;
        change();
      }
    })();
    reading.catch((error) => {
      failure = error;
      change();
    });
    try {
      for (;;) {
        const coming = next();
        const request = coming instanceof Promise ? await coming : coming;
        if (!request) break;
        if (waiting.length >= WINDOW.requests || bytes >= WINDOW.bytes) {
          await this.#wire.flush();
          while (!failure && (waiting.length > WINDOW.requests / 2 || bytes > WINDOW.bytes / 2)) {
            await untilChange();
          }
        }
        if (failure) throw failure;
        waiting.push(request);
        bytes += request.body?.length ?? 0;
        await this.#wire.writeFrame(request.header, request.body);
        change();
      }
      await this.#wire.flush();
    } catch (error) {
      this.#wire.close(toFerryError(error));
      throw failure ?? error;
    } finally {
      ended = true;
      change();
      await reading.catch(() => {});
    }
    if (failure) throw failure;
  }

  /**
   * Lets `run` send a request and read its reply itself, both at the same time if need be. It has to close the wire
   * where no other request can follow.
   */
  async converse<T>(run: (wire: Wire) => Promise<T>): Promise<T> {
    using _conversation = this.#wire.converse();
    return await run(this.#wire);
  }

  /**
   * Suspends the timeout for the server's silence while a body is being sent, unless it sends keep-alives: it has
   * nothing to say.
   */
  #holdWhileSending(): Disposable {
    return this.#wire.keepsAlive ? { [Symbol.dispose]: () => {} } : this.#wire.hold();
  }

  async #reply<Reply>(
    schema: Schema<Reply>,
    request: RequestHeader,
  ): Promise<Reply> {
    const { header, body } = await this.#readReply();
    return await this.#consume(body, () => {
      assertAnswers(request, header);
      return parseReply(schema, header);
    });
  }

  async #readReply(): Promise<Frame> {
    await this.#wire.flush();
    return await this.#nextReply();
  }

  async #nextReply(): Promise<Frame> {
    try {
      const frame = await this.#wire.readFrame();
      if (frame) return frame;
      throw new FerryError("closed", "the server ended the connection");
    } catch (error) {
      this.#wire.close();
      throw error;
    }
  }

  /** Runs a function that reads a body, then skips what it has not read. */
  async #consume<T>(body: IncomingBody, run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } finally {
      await this.#skip(body);
    }
  }

  /** Skips the rest of a body where it is short; else closes the connection. */
  async #skip(body: IncomingBody): Promise<void> {
    if (!body.ended && !await body.drain().catch(() => false)) this.#wire.close();
  }
}

/** Waits until a promise is settled, either way, but not longer than `ms` milliseconds. */
async function settledWithin(ms: number, promise: Promise<unknown>): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, ms);
  await Promise.race([promise.then(() => {}, () => {}), timeout.promise]);
  clearTimeout(timer);
}
