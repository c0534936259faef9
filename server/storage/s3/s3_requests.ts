/**
 * Requests to an object store: signed, counted, bounded in time, and repeated where that may help.
 *
 * @module
 */

import { AwsV4Signer } from "aws4fetch";
import { type Clock, sleep } from "../../../lib/core/clock.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { type CredentialSource } from "./credentials.ts";
import { sendLarge } from "./large_request.ts";
import { parseAnswer, type XmlAnswer } from "./s3_answers.ts";
import type { S3Location } from "./s3_location.ts";
import {
  blamesCredentials,
  connectionFailure,
  connectionProblem,
  failureOf,
  isPassing,
  S3Error,
  s3ErrorOf,
} from "./s3_error.ts";
import { TimedBody } from "./timed_body.ts";

/** The operations of the object store that are used, by the names of its protocol. */
export type Operation =
  | "HeadBucket"
  | "HeadObject"
  | "GetObject"
  | "PutObject"
  | "CopyObject"
  | "DeleteObject"
  | "DeleteObjects"
  | "ListObjectsV2"
  | "CreateMultipartUpload"
  | "UploadPart"
  | "UploadPartCopy"
  | "CompleteMultipartUpload"
  | "AbortMultipartUpload"
  | "ListParts"
  | "ListMultipartUploads";

/** A request that was made. */
export interface MadeRequest {
  /** What was asked for. */
  readonly operation: Operation;
  /** The status of the answer; 0 if there was none. */
  readonly status: number;
  /** How often it had been tried before. */
  readonly retries: number;
  /** How long it took until the answer began, in milliseconds. */
  readonly ms: number;
}

/** How patient requests are. */
export interface S3Patience {
  /**
   * How long the answer to a request may take, in milliseconds, besides a second for each 128 KiB that are sent.
   * Default: 60000.
   */
  answerTimeout?: number | undefined;
  /** How long an answer may pause once it has begun, in milliseconds. Default: 30000.*/
  idleTimeout?: number | undefined;
  /** How long a request is repeated after its first temporary failure, in milliseconds. Default: 30000. */
  retryTime?: number | undefined;
}

/** Options of {@linkcode S3Requests}. */
export interface S3RequestsOptions extends S3Patience {
  /** Where the bucket is. */
  location: S3Location;
  /** Provides the keys that sign. */
  credentials: CredentialSource;
  /** Measures timeouts. */
  clock: Clock;
  /** Called for each request that was made, retries included. */
  onRequest?: ((request: MadeRequest) => void) | undefined;
}

/** A request. */
export interface S3Request {
  /** What is asked for. */
  operation: Operation;
  /** The HTTP method. */
  method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** The key of the object; undefined for the bucket. */
  key?: string | undefined;
  /** The parameters of the query; "" for those without a value. */
  query?: Readonly<Record<string, string>>;
  /** Headers. */
  headers?: Readonly<Record<string, string>>;
  /** What is sent. It has to stay unchanged until the answer. */
  body?: Uint8Array | undefined;
  /** Gives the request up. */
  signal?: AbortSignal | undefined;
  /** Statuses beside 2xx, or codes, that are answers rather than failures. Default: none. */
  answers?: readonly (number | string)[] | undefined;
  /** Whether the body of the answer is left to the caller to read. Default: false, it is read and parsed. */
  streamed?: boolean | undefined;
  /**
   * Whether it is sent over a connection of its own. Over one that was used before, the runtime sends a request again
   * whose connection was cut, and says nothing of that. Default: false.
   */
  alone?: boolean | undefined;
  /** How long the answer may take instead, in milliseconds. Default: {@linkcode S3Patience.answerTimeout}. */
  answerTimeout?: number | undefined;
  /** How much work it is for the store: how much longer the answer may take, in milliseconds. Default: 0. */
  work?: number | undefined;
  /** The name of elements of the XML that may be cut out instead of being parsed. Default: none. */
  repeated?: string | undefined;
  /** The name of the root of the XML that a successful answer must have. Default: undefined, it need not have any. */
  root?: string | undefined;
}

/** An answer. */
export interface S3Answer {
  /** Its status. */
  readonly status: number;
  /** The code of an answer that is an error, and one of those asked for in {@linkcode S3Request.answers}. */
  readonly code: string;
  /** Its headers. */
  readonly headers: Headers;
  /** Its XML; undefined if it has none. */
  readonly xml: XmlAnswer | undefined;
  /** Its body if it is streamed. It has to be read to its end or cancelled. */
  readonly body: TimedBody | undefined;
  /** How often the request failed before. Each of these may have been carried out. */
  readonly retries: number;
}

/** The longest delay before the first retry, which doubles with each further one, and the longest of all. In ms. */
const BACKOFF = { first: 100, longest: 5000 };

/** Bytes per millisecond that a connection to the store is expected to carry at least. */
const SLOWEST = 128 * 1024 / 1000;

/** The size in bytes from which a body counts as large. */
const LARGE_BYTES = 256 * 1024;

/** Makes the requests to one bucket. */
export class S3Requests {
  readonly #location: S3Location;
  readonly #credentials: CredentialSource;
  readonly #clock: Clock;
  readonly #onRequest: (request: MadeRequest) => void;
  readonly #patience: { answerTimeout: number; idleTimeout: number; retryTime: number };
  /** Keys for signing, which change daily. */
  #signingKeys: Map<string, ArrayBuffer> = new Map();

  /** When a request last succeeded, by the monotonic clock. */
  succeeded: number = -Infinity;

  /** It does nothing before the first request. */
  constructor(options: S3RequestsOptions) {
    const { answerTimeout = 60_000, idleTimeout = 30_000, retryTime = 30_000 } = options;
    this.#location = options.location;
    this.#credentials = options.credentials;
    this.#clock = options.clock;
    this.#onRequest = options.onRequest ?? (() => {});
    this.#patience = { answerTimeout, idleTimeout, retryTime };
  }

  /**
   * Makes a request, and repeats it for some time after temporary failures.
   *
   * @throws {FerryError} caused by an {@linkcode S3Error} if there was an answer
   */
  async send(request: S3Request): Promise<S3Answer> {
    const retrying = this.retrying(request.signal);
    for (;;) {
      try {
        return await this.sendOnce(request, retrying.failures);
      } catch (error) {
        await retrying.wait(error);
      }
    }
  }

  /** Decides about retries of one request, and waits before them. */
  retrying(signal?: AbortSignal): Retrying {
    return new Retrying(this.#clock, this.#patience.retryTime, signal);
  }

  /**
   * Makes a request once. Only if the store refuses the credentials and there are others by now, it is made again.
   *
   * @param retries how often it was made before
   */
  async sendOnce(request: S3Request, retries = 0): Promise<S3Answer> {
    const credentials = await this.#credentials();
    try {
      return await this.#attempt(request, credentials, retries);
    } catch (error) {
      const answer = s3ErrorOf(error);
      if (!answer || !blamesCredentials(answer)) throw error;
      const now = await this.#credentials({ refresh: true });
      const same = now.accessKeyId === credentials.accessKeyId &&
        now.secretAccessKey === credentials.secretAccessKey &&
        now.sessionToken === credentials.sessionToken;
      if (same) throw error;
      this.#signingKeys = new Map();
      return await this.#attempt(request, now, retries);
    }
  }

  async #attempt(
    request: S3Request,
    credentials: Awaited<ReturnType<CredentialSource>>,
    retries: number,
  ): Promise<S3Answer> {
    const { operation, method, body, work = 0, alone = false, signal } = request;
    const signed = await this.#sign(request, credentials);
    signal?.throwIfAborted();
    const { answerTimeout = this.#patience.answerTimeout } = request;
    const abort = new AbortController();
    const giveUp = () => abort.abort(signal!.reason);
    signal?.addEventListener("abort", giveUp, { once: true });
    const timeout = answerTimeout + work + (body?.length ?? 0) / SLOWEST;
    const late = new FerryError("timeout", "the object store did not answer in time");
    const timer = this.#clock.setTimeout(() => abort.abort(late), timeout);
    const began = this.#clock.monotonic();
    const made = (status: number) =>
      this.#onRequest({ operation, status, retries, ms: this.#clock.monotonic() - began });
    const sent = { method, headers: signed.headers, signal: abort.signal };
    using client = alone ? Deno.createHttpClient({ poolMaxIdlePerHost: 0 }) : undefined;
    let response: Response;
    try {
      response = body !== undefined && body.length >= LARGE_BYTES
        ? await sendLarge(signed.url, { ...sent, body })
        : await fetch(signed.url, {
          ...sent,
          body: (body as Uint8Array<ArrayBuffer> | undefined) ?? null,
          redirect: "manual",
          ...(client ? { client } : {}),
        });
    } catch (error) {
      made(0);
      signal?.removeEventListener("abort", giveUp);
      throw abort.signal.aborted ? abort.signal.reason : connectionFailure(error);
    } finally {
      this.#clock.clearTimeout(timer);
    }
    made(response.status);
    if (response.ok) this.succeeded = this.#clock.monotonic();
    const answered = new TimedBody(response, {
      clock: this.#clock,
      idleTimeout: this.#patience.idleTimeout,
      abort,
      onEnd: () => signal?.removeEventListener("abort", giveUp),
    });
    return await this.#read(request, response, answered, retries);
  }

  async #read(
    { method, streamed = false, answers = [], root, repeated }: S3Request,
    { status, ok, headers }: Response,
    answered: TimedBody,
    retries: number,
  ): Promise<S3Answer> {
    if (ok && streamed) {
      return { status, code: "", headers, xml: undefined, body: answered, retries };
    }
    const bytes = method === "HEAD" ? (await answered.cancel(), undefined) : await answered.whole();
    const xml = bytes === undefined ? undefined : parseAnswer(bytes, repeated);
    // An error that was found late is the body of an answer with the status 200.
    if (ok && xml?.name !== "Error") {
      if (root !== undefined && xml?.name !== root) throw noAnswer(headers);
      return { status, code: "", headers, xml, body: undefined, retries };
    }
    const error = errorIn(status, headers, xml, this.#clock.now());
    if (!answers.includes(status) && !answers.includes(error.code)) throw failureOf(error);
    return { status, code: error.code, headers, xml, body: undefined, retries };
  }

  async #sign(
    { method, key, query, headers }: S3Request,
    credentials: Awaited<ReturnType<CredentialSource>>,
  ): Promise<{ url: string; headers: Headers }> {
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const url = this.#location.url(key, query);
    if (this.#signingKeys.size > 4) this.#signingKeys = new Map();
    const signer = new AwsV4Signer({
      method,
      url,
      headers: { ...headers },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: "s3",
      region: this.#location.region,
      cache: this.#signingKeys,
      datetime: new Date(this.#clock.now()).toISOString().replace(/[:-]|\.\d{3}/g, ""),
    });
    const signed = await signer.sign();
    // Without this, the runtime asks for compressed answers, and hands out another content than is stored.
    signed.headers.set("Accept-Encoding", "identity");
    return { url, headers: signed.headers };
  }
}

/** The failure for a successful answer that is not what an object store answers, or not all of it. */
function noAnswer(headers: Headers): FerryError {
  return (headers.get("content-type") ?? "").includes("xml")
    ? new FerryError("unreachable", "the object store answered by halves")
    : new FerryError("io", "what answers is no object store");
}

function errorIn(
  status: number,
  headers: Headers,
  xml: XmlAnswer | undefined,
  now: number,
): S3Error {
  const found = xml?.name === "Error" ? xml : undefined;
  const after = Number(headers.get("retry-after") ?? NaN) * 1000;
  const date = Date.parse(headers.get("date") ?? "");
  return new S3Error(status, found?.text("Code") ?? "", {
    message: found?.text("Message"),
    region: found?.text("Region") ?? headers.get("x-amz-bucket-region") ?? undefined,
    retryAfter: Number.isFinite(after) ? after : undefined,
    clockAhead: Number.isNaN(date) ? undefined : date - now,
  });
}

/** The retries of one request. */
export class Retrying {
  readonly #clock: Clock;
  readonly #time: number;
  #until: number | undefined;
  readonly #signal: AbortSignal | undefined;
  /** How often the request has failed. */
  failures = 0;

  /** @param time how long retries may go on after the first failure, in milliseconds */
  constructor(clock: Clock, time: number, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#time = time;
    this.#signal = signal;
  }

  /**
   * Waits until the request may be repeated.
   *
   * @throws `error` if that would not help, or the time is over
   */
  async wait(error: unknown): Promise<void> {
    if (this.#signal?.aborted || !mayPass(error)) throw error;
    this.#until ??= this.#clock.monotonic() + this.#time;
    if (this.failures === 0 && spoilt(error)) {
      this.failures++;
      return;
    }
    const longest = Math.min(BACKOFF.first * 2 ** this.failures++, BACKOFF.longest);
    // Full jitter: requests that failed together do not come back together.
    const pause = Math.max(
      Math.random() * longest,
      Math.min(s3ErrorOf(error)?.details.retryAfter ?? 0, BACKOFF.longest),
    );
    if (this.#clock.monotonic() + pause > this.#until) throw error;
    await sleep(this.#clock, pause, this.#signal);
  }
}

/**
 * Whether a connection that was kept was of no use any more. Some stores close such a connection, or send bytes over it
 * that belong to no answer; another connection works at once.
 */
function spoilt(error: unknown): boolean {
  if (!(error instanceof FerryError) || error.code !== "unreachable") return false;
  return ["closed", "reset", "not http"].includes(connectionProblem(error.cause) ?? "");
}

function mayPass(error: unknown): boolean {
  const answer = s3ErrorOf(error);
  if (answer) return isPassing(answer);
  return error instanceof FerryError && !error.lasting &&
    ["unreachable", "closed", "timeout"].includes(error.code);
}
