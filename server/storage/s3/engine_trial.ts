/**
 * Finds out by trial whether a bucket can be used, and what its store can do.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import type { MultipartUpload, RequestOptions } from "./bucket.ts";
import { bareEtag, md5Header, metadataHeaders } from "./object_headers.ts";
import type { S3Bucket } from "./s3_bucket.ts";
import { connectionProblem, isPassing, s3ErrorOf } from "./s3_error.ts";

/** What the store of a bucket was found to do. */
export interface Engine {
  /** Whether a PUT can be refused where the key is taken, so that of several at once exactly one succeeds. */
  readonly conditionalPut: boolean;
  /** Whether the completion of a multipart upload can be refused where the key is taken before it. */
  readonly conditionalComplete: boolean;
  /** Whether a PUT can be refused where the object is not the one that is to be replaced. */
  readonly replaceIfMatch: boolean;
  /** Whether the ETag of an object that was stored by one request is the MD5 of its content. */
  readonly md5Etags: boolean;
  /** Why nothing can be written; undefined if it can be. */
  readonly unwritable?: FerryError | undefined;
  /** What the store cannot promise, as English sentences for users. */
  readonly shortcomings: readonly string[];
}

/** Below which keys objects of trials are, for a moment. */
const PLACE = ".ferry/trial/";

/** A trial that is older than this, in milliseconds, was left behind by a process that was killed. */
const STALE_MS = 3_600_000;

/** How long the first answer of a store may take, in milliseconds: who starts a server waits for it. */
const FIRST_ANSWER_MS = 10_000;

/** A character of each kind that URLs escape, and some gateways escape differently. */
const ODD = "ä+ %2F'(*)~&=\u{1f600}";

/** A value of metadata of the greatest length that is used. */
const LONG_VALUE = "%C3%A4".repeat(42);

/**
 * Asks the store for the bucket, and tries in a place of its own what the store can do. It removes what it made.
 *
 * @throws {FerryError} whose message says in one line what is wrong with the bucket, its endpoint or the credentials
 */
export async function tryEngine(
  bucket: S3Bucket,
  { signal }: RequestOptions = {},
): Promise<Engine> {
  await assertUsable(bucket, signal);
  const trial = new Trial(bucket, signal);
  try {
    return await trial.run();
  } catch (error) {
    signal?.throwIfAborted();
    throw toFerryError(error).during(actionOn(bucket));
  } finally {
    await trial.cleanUp();
  }
}

function actionOn({ location }: S3Bucket): string {
  return `use the bucket ${location.bucket} at ${location.endpoint}`;
}

/** What to do about answers that mean that a setting is wrong. */
const ADVICE: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: "check AWS_ACCESS_KEY_ID or the profile",
  SignatureDoesNotMatch: "check AWS_SECRET_ACCESS_KEY, then AWS_ACCESS_KEY_ID",
  NoSuchBucket: "create it first, or check its name",
  RequestTimeTooSkewed: "set the clock",
  AuthorizationHeaderMalformed: "set the region",
  PermanentRedirect: "set the region and the endpoint",
};

/** Fails if the bucket cannot be listed. */
async function assertUsable(bucket: S3Bucket, signal: AbortSignal | undefined): Promise<void> {
  const request = {
    operation: "ListObjectsV2",
    method: "GET",
    query: { "list-type": "2", "max-keys": "1", prefix: bucket.location.prefix + PLACE },
    root: "ListBucketResult",
    answerTimeout: FIRST_ANSWER_MS,
    signal,
  } as const;
  try {
    await bucket.requests.sendOnce(request).catch((error) => {
      const answer = s3ErrorOf(error);
      if (!answer || !isPassing(answer)) throw error;
      return bucket.requests.send(request);
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw (await explained(bucket, toFerryError(error), signal)).during(actionOn(bucket));
  }
}

/** The failure with what it means for the settings. */
async function explained(
  { location: { endpoint } }: S3Bucket,
  error: FerryError,
  signal: AbortSignal | undefined,
): Promise<FerryError> {
  const { code, reason } = error;
  const answer = s3ErrorOf(error);
  if (answer) {
    const advice = ADVICE[answer.code];
    // Every object store gives a code with an error.
    const what = answer.code === "" && answer.status < 500
      ? `${reason}: it may be no S3 endpoint`
      : advice === undefined
      ? reason
      : `${reason}: ${advice}`;
    return new FerryError(code, what, { cause: error });
  }
  if (code !== "unreachable") return error;
  const problem = connectionProblem(error.cause);
  const advice = problem === "certificate"
    ? `${reason}: name the file of its authority in DENO_CERT`
    : problem === "not https"
    ? "the endpoint speaks no https: try http:// for https://"
    : endpoint.startsWith("http:") && problem !== "refused" && await speaksTls(endpoint, signal)
    ? "the endpoint speaks https: write https:// for http://"
    : reason;
  return new FerryError(code, advice, { cause: error });
}

/** Whether a server answers an attempt to speak TLS, if only with a certificate that is not trusted. */
async function speaksTls(endpoint: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const url = endpoint.replace(/^http:/, "https:");
    const response = await fetch(url, {
      method: "HEAD",
      redirect: "manual",
      signal: signal ?? null,
    });
    await response.body?.cancel();
    return true;
  } catch (error) {
    return connectionProblem(error) === "certificate";
  }
}

/** One trial, with the objects and uploads that it makes. */
class Trial {
  readonly #bucket: S3Bucket;
  readonly #signal: AbortSignal | undefined;
  readonly #place = `${PLACE}${crypto.randomUUID()}/`;
  readonly #keys = new Set<string>();
  readonly #uploads: MultipartUpload[] = [];

  constructor(bucket: S3Bucket, signal: AbortSignal | undefined) {
    this.#bucket = bucket;
    this.#signal = signal;
  }

  async run(): Promise<Engine> {
    const taken = this.#key(ODD);
    let md5Etags: boolean;
    try {
      md5Etags = this.#bucket.comparesEtags = await this.#hasMd5Etags(taken);
    } catch (error) {
      return unwritableEngine(error);
    }
    const [conditionalPut, conditionalComplete, replaceIfMatch, kept] = await Promise.all([
      this.#refusesPut(taken),
      this.#refusesComplete(taken),
      this.#comparesOnReplace(),
      this.#keptMetadata(taken),
    ]);
    const listed = (await this.#bucket.list({ prefix: this.#place, signal: this.#signal })).objects;
    if (!listed.some(({ key }) => key === taken)) {
      throw new FerryError("io", "the object store lists other names than those it was given");
    }
    const engine = { conditionalPut, conditionalComplete, replaceIfMatch, md5Etags };
    return { ...engine, shortcomings: shortcomingsOf(engine, kept) };
  }

  #key(name: string): string {
    const key = this.#place + name;
    this.#keys.add(key);
    return key;
  }

  /** Stores the first object, and whether its ETag is its MD5. */
  async #hasMd5Etags(key: string): Promise<boolean> {
    const md5 = "5eb63bbbe01eeed093cb22bb8f5acdc3";
    const { headers } = await this.#bucket.requests.send({
      operation: "PutObject",
      method: "PUT",
      key,
      body: new TextEncoder().encode("hello world"),
      headers: {
        ...md5Header(md5),
        ...metadataHeaders({ "ferry-trial": LONG_VALUE, "ferry-mode": "644" }),
      },
      signal: this.#signal,
    });
    return bareEtag(headers.get("etag")) === md5;
  }

  /** Whether a PUT is refused where the key is taken, and of several at once all but one. */
  async #refusesPut(taken: string): Promise<boolean> {
    const put = (key: string, text: string) =>
      this.#bucket.put(key, new TextEncoder().encode(text), {
        ifAbsent: true,
        signal: this.#signal,
      });
    return await ifSupported(async () => {
      if (await put(taken, "other") !== undefined) return false;
      const key = this.#key("race");
      const racers = await Promise.all(["1", "2", "3", "4"].map((text) => put(key, text)));
      return racers.filter((etag) => etag !== undefined).length === 1;
    });
  }

  /** Whether a completion is refused where the key is taken. */
  async #refusesComplete(taken: string): Promise<boolean> {
    return await ifSupported(async () => {
      const upload = await this.#bucket.begin(taken);
      this.#uploads.push(upload);
      const part = await this.#bucket.uploadPart(upload, 1, new TextEncoder().encode("part"));
      const options = { ifAbsent: true, signal: this.#signal };
      return await this.#bucket.complete(upload, [part], options) === undefined;
    });
  }

  /** Whether a PUT with the right ETag replaces an object, and one with a wrong ETag does not. */
  async #comparesOnReplace(): Promise<boolean> {
    const key = this.#key("replaced");
    const put = (text: string, ifMatch?: string) =>
      this.#bucket.put(key, new TextEncoder().encode(text), { ifMatch, signal: this.#signal });
    return await ifSupported(async () => {
      const first = await put("1");
      const second = await put("2", first);
      return second !== undefined && await put("3", first) === undefined;
    });
  }

  /** Whether metadata comes back as it was given. */
  async #keptMetadata(key: string): Promise<boolean> {
    const { metadata } = await this.#bucket.head(key, { signal: this.#signal }) ?? {};
    // The object may have been replaced by a store that does not refuse that.
    return metadata?.["ferry-trial"] === LONG_VALUE || metadata?.["ferry-mode"] === undefined;
  }

  /** Removes what was made, and what killed processes left behind. It does not fail. */
  async cleanUp(): Promise<void> {
    const bucket = this.#bucket;
    try {
      const { objects } = await bucket.list({ prefix: PLACE });
      const now = Date.now();
      const keys = objects.filter(({ key, modified }) =>
        this.#keys.has(key) || modified < now - STALE_MS
      ).map(({ key }) => key);
      await Promise.all(this.#uploads.map((upload) => bucket.abort(upload)));
      if (keys.length > 0) await bucket.deleteAll(keys);
    } catch {
      // Objects that are left over are removed by a later trial.
    }
  }
}

/** The result of a trial; false if the store says that it does not know such a request. */
async function ifSupported(run: () => Promise<boolean>): Promise<boolean> {
  try {
    return await run();
  } catch (error) {
    const answer = s3ErrorOf(error);
    if (!answer || ![400, 405, 409, 412, 501].includes(answer.status)) throw error;
    return false;
  }
}

/** What can be said of a store to which nothing may be written. */
function unwritableEngine(error: unknown): Engine {
  const answer = s3ErrorOf(error);
  if (answer?.status !== 403) throw error;
  const unwritable = toFerryError(error);
  return {
    conditionalPut: false,
    conditionalComplete: false,
    replaceIfMatch: false,
    md5Etags: true,
    unwritable,
    shortcomings: [`nothing can be uploaded here: ${unwritable.reason}`],
  };
}

function shortcomingsOf(
  engine: Pick<Engine, "conditionalPut" | "conditionalComplete" | "md5Etags">,
  keptMetadata: boolean,
): string[] {
  const shortcomings: string[] = [];
  if (!engine.conditionalPut) {
    shortcomings.push(
      "the object store cannot refuse a name that is taken: of clients that create the same file " +
        "at the same time, each may be told that it succeeded, and one file stays",
    );
  }
  if (!engine.md5Etags) {
    shortcomings.push(
      "the ETags of the object store are no MD5s: lists show none, and uploads are verified by " +
        "Content-MD5 alone",
    );
  }
  if (!keptMetadata) {
    shortcomings.push(
      "the object store does not keep metadata: files lose their modification time and permissions",
    );
  }
  return shortcomings;
}
