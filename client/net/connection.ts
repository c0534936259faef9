/**
 * One connection to a server: requests and their replies.
 *
 * @module
 */

import type { PutReply } from "../../lib/wire/operations/put.ts";
import { done, type Schema } from "../../lib/wire/schema.ts";
import { type Address, formatAddress } from "../../lib/core/address.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import { decodeLines } from "../../lib/wire/manifest.ts";
import type { ByteSource } from "../../lib/core/bytes.ts";
import type { Token } from "../../lib/security/token.ts";
import {
  type OnBytes,
  sendSized,
  sendStreamed,
  type Verified,
  verifiedPieces,
} from "../../lib/transfer/transfer.ts";
import { type ByteStream, type Frame, type IncomingBody, Wire } from "../../lib/wire/wire.ts";
import {
  assertAnswers,
  assertCompared,
  assertStored,
  assertStreamed,
  type RequestHeader,
} from "./reply_check.ts";
import { dial } from "./dial.ts";
import { greet } from "./handshake.ts";
import type { RateLimit } from "./rate_limit.ts";
import { SilentServerProbe } from "./silent_server.ts";
import type { TlsClient } from "./tls.ts";

/** How long the reason of a server that broke off is waited for. */
const REFUSAL_MS = 2000;

/**
 * How many requests may be on their way at once, and how many bytes of bodies behind them. When there are so
 * many, half of them are answered before others follow, so that those leave together.
 */
const WINDOW = { requests: 200, bytes: 8 * 1024 * 1024 };

/** Options of {@linkcode Connection.open}. */
export interface OpenOptions {
  /** Milliseconds for reaching the server and being greeted. */
  connectTimeout: number;
  /** Milliseconds after which a server that moves no byte is given up. */
  timeout: number;
  /** Holds the speed in both directions together. */
  limit?: RateLimit | undefined;
  /** Encrypts the connection. */
  tls?: TlsClient | undefined;
  /** Proves who this is, and has the server prove who it is. */
  token?: Token | undefined;
  /** Gives up. */
  signal?: AbortSignal | undefined;
}

/** A body to be sent with a request. */
export interface Upload {
  /** The request, without `total_size` and the checksum; `size` is that of the whole file. */
  header: RequestHeader & { size: number };
  /** The bytes. */
  source: ByteSource;
  /** How many. */
  size: number;
  /** What the file is checked with. */
  algorithm: Algorithm;
  /** The checksum of the whole file, where it is known. */
  checksum: Checksum | null;
  /** The digest of what stands in front of the bytes, where they are only a part. */
  digest?: Digest | undefined;
  /** Told of each piece. */
  onBytes: OnBytes;
}

/** A request of several that do not wait for each other. */
export interface PipelinedRequest {
  /** The request; with a body, its checksum and `total_size` too. */
  header: RequestHeader;
  /** The body. */
  body?: Uint8Array | undefined;
}

/** A connection to a server that has been greeted. */
export class Connection {
  readonly #wire: Wire;
  /** What the server said of itself. */
  readonly hello: HelloReply;

  private constructor(wire: Wire, hello: HelloReply) {
    this.#wire = wire;
    this.hello = hello;
  }

  /**
   * Reaches a server and agrees on a version with it.
   *
   * @throws {FerryError} `unreachable`, `timeout`, `closed`, `bad_version`, `bad_header`, `auth_required`,
   * `denied`
   */
  static async open(address: Address, options: OpenOptions): Promise<Connection> {
    const { connectTimeout, timeout, limit, tls, token, signal } = options;
    const deadline = performance.now() + connectTimeout;
    using probe = new SilentServerProbe(address, { timeout: connectTimeout, tls });
    const { foreign } = probe;
    const either = signal ? AbortSignal.any([signal, foreign]) : foreign;
    try {
      const conn = await dial(address, { timeout: connectTimeout, tls, signal: either });
      return await Connection.over(conn, { deadline, timeout, limit, token, signal: either });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const failure = foreign.aborted ? foreign.reason : error;
      throw toFerryError(failure).during(`connect to ${formatAddress(address)}`);
    }
  }

  /**
   * Agrees on a version with a server that has been reached.
   *
   * @param stream the connection to it, which is this one's from now on
   * @param options as for {@linkcode Connection.open}; `deadline` is the end of the time for being greeted, as
   * `performance.now()` tells it
   * @throws {FerryError} `timeout`, `closed`, `bad_version`, `bad_header`, `auth_required`, `denied`
   */
  static async over(
    stream: ByteStream,
    { deadline, timeout, limit, token, signal }:
      & Pick<OpenOptions, "timeout" | "limit" | "token" | "signal">
      & { deadline: number },
  ): Promise<Connection> {
    let greeted = false;
    const wire = new Wire(stream, {
      idleTimeout: () => greeted ? timeout : Math.max(1, deadline - performance.now()),
      pace: limit,
      peerSide: "server",
    });
    try {
      using _abort = closeOnAbort(wire, signal);
      const hello = await greet(wire, { token, timeout });
      greeted = true;
      return new Connection(wire, hello);
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  /**
   * Fails where the server cannot check files with an algorithm.
   *
   * @throws {FerryError} `bad_version`
   */
  assertOffers(algorithm: Algorithm): void {
    if (algorithm !== "md5") this.assertFeature(algorithm, algorithm);
  }

  /**
   * Fails where the server does not have an optional part of the protocol.
   *
   * @param what what people call it
   * @throws {FerryError} `bad_version`
   */
  assertFeature(feature: string, what: string): void {
    const { features, agent } = this.hello;
    if (features.includes(feature)) return;
    throw new FerryError("bad_version", `the server, ${agent}, does not offer ${what}`);
  }

  /** Whether another request can be sent. */
  get usable(): boolean {
    return this.#wire.writable;
  }

  /** Ends the connection. What is under way fails with the reason. */
  close(reason?: FerryError): void {
    this.#wire.close(reason);
  }

  /** Ends the connection when the signal says so, until disposed of. */
  closeOnAbort(signal: AbortSignal | undefined): Disposable {
    return closeOnAbort(this.#wire, signal);
  }

  /**
   * Lets `run` send a request and read its reply by itself, in both directions at once if need be. It has to
   * close the wire where another request cannot follow.
   */
  async talk<T>(run: (wire: Wire) => Promise<T>): Promise<T> {
    using _conversation = this.#wire.converse();
    return await run(this.#wire);
  }

  /** Sends a request and gives its reply, which has no body. */
  async ask<Reply>(
    schema: Schema<Reply>,
    header: RequestHeader,
  ): Promise<Reply> {
    using _conversation = this.#wire.converse();
    await this.#wire.writeFrame(header);
    return await this.#reply(schema, header);
  }

  /**
   * Sends a request and hands its reply to `read`, which is to read the body; what it leaves is read
   * over, or the connection ends.
   */
  async fetch<T>(header: RequestHeader, read: (reply: Frame) => Promise<T>): Promise<T> {
    using _conversation = this.#wire.converse();
    await this.#wire.writeFrame(header);
    const reply = await this.#readReply();
    return await this.#consume(reply.body, () => {
      assertAnswers(header, reply.header);
      return read(reply);
    });
  }

  /**
   * Sends a request and gives what the lines of its reply's body stand for, those together that come
   * together.
   */
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
      yield* decodeLines(verifiedPieces(body), decode);
    } finally {
      if (!body.ended && !await body.drain().catch(() => false)) this.#wire.close();
    }
  }

  /** Sends a request with a body and gives its reply. */
  upload({ header, source, ...options }: Upload): Promise<PutReply> {
    const { size } = header;
    return this.#upload(
      { ...header, ...checksumKeys(options.algorithm, null) },
      async (refusal) => {
        const stop = () => refusal.error;
        const sent = await sendSized(this.#wire, header, source, { ...options, stop });
        return { ...sent, size };
      },
    );
  }

  /** Sends a request with a body of unknown length and gives its reply. */
  uploadStream(
    header: RequestHeader,
    pieces: AsyncIterable<Uint8Array>,
    options: { algorithm: Algorithm; onBytes: OnBytes },
  ): Promise<PutReply> {
    return this.#upload({ ...header, ...checksumKeys(options.algorithm, null) }, (refusal) => {
      return sendStreamed(this.#wire, header, refusal.endOf(pieces), options);
    });
  }

  /** Sends a body, which tells what the whole file is then, and gives the reply. */
  async #upload(
    header: RequestHeader,
    send: (refusal: Refusal) => Promise<Verified>,
  ): Promise<PutReply> {
    using _conversation = this.#wire.converse();
    // The answer is awaited from the first byte on: one that comes early refuses, and saves the rest.
    const refusal = new Refusal();
    const hold = this.#holdWhileSending();
    const replying = this.#reply(OPERATIONS.put.reply, header).catch((error) => {
      throw refusal.comes(toFerryError(error));
    });
    replying.catch(() => {});
    try {
      const sent = await send(refusal);
      await this.#wire.flush();
      hold[Symbol.dispose]();
      const reply = await replying;
      if (!reply.unchanged) assertStored(reply, sent);
      return reply;
    } catch (reason) {
      hold[Symbol.dispose]();
      const error = toFerryError(reason);
      if (this.#wire.writable) {
        // The body was ended with an error, and the server still answers it.
        await this.#wire.flush();
        await replying.catch(() => {});
        throw error;
      }
      // A server that refuses and hangs up may have said why before that.
      const hungUp = error.code === "closed" || error.code === "timeout";
      if (hungUp) await within(REFUSAL_MS, replying);
      this.#wire.close();
      throw hungUp && refusal.error ? refusal.error : error;
    }
  }

  /**
   * Sends a request with a streamed body and gives what the lines of its reply stand for, which may begin
   * before the last of the body has left.
   */
  async *exchange<T>(
    header: RequestHeader,
    pieces: AsyncIterable<Uint8Array>,
    { decode, algorithm = "md5" }: { decode: (line: string) => T; algorithm?: Algorithm },
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
      // Nothing can follow a body that is still on its way.
      if (!sent) this.#wire.close();
      await sending.catch(() => {});
    }
  }

  /**
   * Sends requests one behind the other, and hands their replies to `onReply` as they come: it is to read
   * the body, and decides what an error means.
   */
  async pipeline<Request extends PipelinedRequest>(
    requests: AsyncIterable<Request>,
    onReply: (reply: Frame, request: Request) => Promise<void>,
  ): Promise<void> {
    using _conversation = this.#wire.converse();
    const waiting: Request[] = [];
    let bytes = 0;
    let ended = false;
    let failure: unknown;
    let changed = Promise.withResolvers<void>();
    const change = () => {
      changed.resolve();
      changed = Promise.withResolvers();
    };
    const reading = (async () => {
      for (;;) {
        while (waiting.length === 0 && !ended) await changed.promise;
        const [request] = waiting;
        if (!request) return;
        const reply = await this.#nextReply();
        await this.#consume(reply.body, () => onReply(reply, request));
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
      for await (const request of requests) {
        if (waiting.length >= WINDOW.requests || bytes >= WINDOW.bytes) {
          await this.#wire.flush();
          while (!failure && (waiting.length > WINDOW.requests / 2 || bytes > WINDOW.bytes / 2)) {
            await changed.promise;
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

  /** A server that is being sent a body has nothing to say, unless it says that it is there. */
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
      // Where the next reply begins is not known.
      this.#wire.close();
      throw error;
    }
  }

  /** Runs what reads a body, and sees to it that the next reply can be read, or that none is. */
  async #consume<T>(body: IncomingBody, run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } finally {
      if (!body.ended && !await body.drain().catch(() => false)) this.#wire.close();
    }
  }
}

/** What a server says while it is being sent a body, which is not to be sent any further then. */
class Refusal {
  /** Why, once it has come. */
  error: FerryError | undefined;
  #tell: (error: FerryError) => void = () => {};

  comes(error: FerryError): FerryError {
    this.#tell(error);
    return this.error = error;
  }

  /** Pieces up to the refusal, also where it comes while the next one is waited for. */
  async *endOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    const source = pieces[Symbol.asyncIterator]();
    let done: boolean | undefined = false;
    try {
      for (;;) {
        if (this.error) throw this.error;
        const refused = Promise.withResolvers<never>();
        this.#tell = refused.reject;
        const next = await Promise.race([source.next(), refused.promise]);
        done = next.done;
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // A source that is asked for a piece at the moment may never give it: nobody waits for its end.
      if (!done) void source.return?.().catch(() => {});
    }
  }
}

function closeOnAbort(wire: Wire, signal: AbortSignal | undefined): Disposable {
  const abort = () => wire.close(new FerryError("closed", "given up"));
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", abort) };
}

/** Waits for a promise, but not for long, and not for how it ends. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, ms);
  await Promise.race([promise.then(() => {}, () => {}), timeout.promise]);
  clearTimeout(timer);
}
