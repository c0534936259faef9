/**
 * A bucket of an S3-compatible object store, over signed HTTP.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type {
  Bucket,
  CopyOptions,
  GetOptions,
  ListedUpload,
  ListPage,
  ListPageOptions,
  Metadata,
  MultipartUpload,
  ObjectBody,
  ObjectHead,
  PutOptions,
  RequestOptions,
  UploadedPart,
} from "./bucket.ts";
import { Copying } from "./copying.ts";
import type { CredentialSource } from "./credentials.ts";
import { listPage, nextParameters } from "./list_answers.ts";
import {
  bareEtag,
  etagMatches,
  headOf,
  md5Header,
  metadataHeaders,
  writeHeaders,
  writeOf,
} from "./object_headers.ts";
import { resumingBody } from "./resuming_body.ts";
import { escapeXml, fitsXml } from "./s3_answers.ts";
import { failureOf, S3Error } from "./s3_error.ts";
import { S3Location, type S3LocationOptions } from "./s3_location.ts";
import { type CompleteOptions, S3Multiparts, wrongEtag } from "./s3_multiparts.ts";
import { type MadeRequest, type S3Answer, type S3Patience, S3Requests } from "./s3_requests.ts";

/** Options of {@linkcode openBucket}. */
export interface S3BucketOptions extends S3LocationOptions, S3Patience {
  /** Provides the keys that sign requests. */
  credentials: CredentialSource;
  /** The clock and the digests. */
  runtime: Runtime;
  /** Called for each request to the store, retries included. */
  onRequest?: ((request: MadeRequest) => void) | undefined;
}

/** How long an answer proves that the bucket exists, in milliseconds. */
const PROOF_MS = 10_000;

/** How long a store may take to delete one of many objects, in milliseconds. Some delete two at a time. */
const MS_PER_KEY = 500;

/** A bucket of an object store. */
export class S3Bucket implements Bucket {
  readonly #location: S3Location;
  readonly #runtime: Runtime;
  readonly #requests: S3Requests;
  readonly #copying: Copying;
  readonly #multiparts: S3Multiparts;
  /** Whether the store compares an `If-Match` of a PUT without quotes, as some do. */
  #bareIfMatch = false;
  /**
   * Whether the ETag of an object that was stored by one request is the MD5 of its content, which is then compared.
   * Default: true.
   */
  comparesEtags = true;

  /** @throws {FerryError} `usage` for what cannot be a bucket, a prefix or an endpoint */
  constructor(options: S3BucketOptions) {
    const { runtime } = options;
    this.#runtime = runtime;
    const location = this.#location = new S3Location(options);
    const requests = this.#requests = new S3Requests({
      ...options,
      location,
      clock: runtime.clock,
    });
    const head = (key: string, options: RequestOptions) => this.head(key, options);
    const copying = this.#copying = new Copying(requests, location, head);
    this.#multiparts = new S3Multiparts({
      requests,
      location,
      copying,
      head,
      digests: runtime.digests,
      comparesEtags: () => this.comparesEtags,
    });
  }

  /** Where it is. */
  get location(): S3Location {
    return this.#location;
  }

  /** Makes single requests, for trials of what the store can do. */
  get requests(): S3Requests {
    return this.#requests;
  }

  async head(key: string, { signal }: RequestOptions = {}): Promise<ObjectHead | undefined> {
    const answer = await this.#head(key, signal);
    return answer && headOf(key, answer.headers, this.#runtime.clock.now());
  }

  async #head(key: string, signal: AbortSignal | undefined): Promise<S3Answer | undefined> {
    const answer = await this.#requests.send({
      operation: "HeadObject",
      method: "HEAD",
      key,
      answers: [404],
      signal,
    });
    if (answer.status !== 404) return answer;
    await this.#assertExists(signal);
    return undefined;
  }

  /** Fails if the bucket has gone: an answer without a body does not tell a missing object from that. */
  async #assertExists(signal: AbortSignal | undefined): Promise<void> {
    if (this.#runtime.clock.monotonic() - this.#requests.succeeded < PROOF_MS) return;
    const { status } = await this.#requests.send({
      operation: "HeadBucket",
      method: "HEAD",
      answers: [404, 403],
      signal,
    });
    if (status === 404) throw failureOf(new S3Error(404, "NoSuchBucket"));
  }

  async get(key: string, options: GetOptions = {}): Promise<ObjectBody | undefined> {
    const { range, ifMatch, signal } = options;
    if (range?.count === 0) return await this.#nothingOf(key, options);
    const answer = await this.#get(key, range, ifMatch, signal);
    if (answer.code === "NoSuchKey") return undefined;
    if (answer.status === 412) throw replaced();
    // Nothing is in the range.
    if (answer.status === 416) return await this.#nothingOf(key, options);
    const head = headOf(key, answer.headers, this.#runtime.clock.now());
    const start = range?.start ?? 0;
    if (range && answer.status !== 206 && (start > 0 || head.size > range.count)) {
      await answer.body!.cancel();
      throw new FerryError("io", "the object store sends whole objects instead of ranges");
    }
    const count = Math.max(0, Math.min(range?.count ?? Infinity, head.size - start));
    const body = resumingBody({
      body: answer.body!,
      count,
      retrying: () => this.#requests.retrying(signal),
      reopen: async (after) => {
        const rest = { start: start + after, count: count - after };
        const answer = await this.#get(key, rest, head.etag, signal);
        if (!answer.body) throw replaced();
        return answer.body;
      },
    });
    return { ...head, body };
  }

  async #get(
    key: string,
    range: GetOptions["range"],
    ifMatch: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<S3Answer> {
    return await this.#requests.send({
      operation: "GetObject",
      method: "GET",
      key,
      headers: {
        ...(range ? { Range: `bytes=${range.start}-${range.start + range.count - 1}` } : {}),
        ...(ifMatch === undefined ? {} : { "If-Match": `"${ifMatch}"` }),
      },
      answers: ["NoSuchKey", 412, 416],
      streamed: true,
      signal,
    });
  }

  /** An empty part of an object. */
  async #nothingOf(
    key: string,
    { ifMatch, signal }: GetOptions,
  ): Promise<ObjectBody | undefined> {
    const head = await this.head(key, { signal });
    if (head && ifMatch !== undefined && head.etag !== ifMatch) throw replaced();
    return head && { ...head, body: ReadableStream.from<Uint8Array>([]) };
  }

  async put(
    key: string,
    bytes: Uint8Array,
    options: PutOptions = {},
  ): Promise<string | undefined> {
    const md5 = options.md5 ?? this.#runtime.digests.md5Of(bytes);
    const { metadata, ifAbsent = false, ifMatch, signal } = options;
    // Tells, when the store refuses a request, whether that had been sent before: by a retry, or by the runtime.
    const token = ifAbsent || ifMatch !== undefined ? crypto.randomUUID() : undefined;
    const send = (condition: Record<string, string>) =>
      this.#requests.send({
        operation: "PutObject",
        method: "PUT",
        key,
        headers: {
          ...metadataHeaders(metadata),
          ...(token === undefined ? {} : writeHeaders(token)),
          ...md5Header(md5),
          ...condition,
        },
        body: bytes,
        answers: token === undefined ? [] : [412, "NoSuchKey"],
        signal,
      });
    for (let again = false;; again = true) {
      const answer = await this.#conditional(send, ifAbsent, ifMatch);
      if (answer.status === 412 || answer.code === "NoSuchKey") {
        return await this.#writtenBy(token!, key, signal);
      }
      const etag = bareEtag(answer.headers.get("etag"));
      if (!this.comparesEtags || etagMatches(etag, md5, answer.headers)) return etag;
      if (again) throw wrongEtag();
    }
  }

  /** Sends a PUT with its condition. An `If-Match` is tried in both forms: a wrong ETag is refused in either. */
  async #conditional(
    send: (condition: Record<string, string>) => Promise<S3Answer>,
    ifAbsent: boolean,
    ifMatch: string | undefined,
  ): Promise<S3Answer> {
    if (ifMatch === undefined) return await send(ifAbsent ? { "If-None-Match": "*" } : {});
    const forms = [`"${ifMatch}"`, ifMatch];
    const [first, second] = this.#bareIfMatch ? forms.reverse() : forms;
    const answer = await send({ "If-Match": first! });
    if (answer.status !== 412) return answer;
    const other = await send({ "If-Match": second! });
    if (other.status < 300) this.#bareIfMatch = !this.#bareIfMatch;
    return other;
  }

  /** The ETag of an object if the request with that token wrote it; undefined if another one did. */
  async #writtenBy(
    token: string,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const answer = await this.#head(key, signal);
    if (!answer || writeOf(answer.headers) !== token) return undefined;
    return bareEtag(answer.headers.get("etag"));
  }

  async delete(key: string, { signal }: RequestOptions = {}): Promise<void> {
    await this.#requests.send({
      operation: "DeleteObject",
      method: "DELETE",
      key,
      answers: ["NoSuchKey"],
      signal,
    });
  }

  async deleteAll(
    keys: readonly string[],
    { signal }: RequestOptions = {},
  ): Promise<ReadonlyMap<string, Error>> {
    const failed = new Map<string, Error>();
    const [listed, single] = [keys.filter(fitsXml), keys.filter((key) => !fitsXml(key))];
    if (listed.length > 0) await this.#deleteListed(listed, failed, signal);
    // The list is XML, which cannot hold these.
    for (const key of single) {
      await this.delete(key, { signal }).catch((error) => failed.set(key, toFerryError(error)));
      signal?.throwIfAborted();
    }
    return failed;
  }

  async #deleteListed(
    keys: readonly string[],
    failed: Map<string, Error>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { prefix } = this.#location;
    const objects = keys.map((key) => `<Object><Key>${escapeXml(prefix + key)}</Key></Object>`);
    const body = new TextEncoder().encode(
      `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${
        objects.join("")
      }</Delete>`,
    );
    const { xml } = await this.#requests.send({
      operation: "DeleteObjects",
      method: "POST",
      query: { delete: "" },
      headers: {
        "Content-Type": "application/xml",
        ...md5Header(this.#runtime.digests.md5Of(body)),
      },
      body,
      work: keys.length * MS_PER_KEY,
      root: "DeleteResult",
      signal,
    });
    for (const error of xml!.all("Error")) {
      const code = error.text("Code") ?? "";
      const key = this.#location.relative(error.text("Key") ?? "");
      const status = code === "AccessDenied" ? 403 : 500;
      failed.set(key, failureOf(new S3Error(status, code, { message: error.text("Message") })));
    }
  }

  async copy(from: string, to: string, options: CopyOptions = {}): Promise<string | undefined> {
    const { metadata, ifMatch, signal } = options;
    const answer = await this.#copying.send(from, ifMatch, {
      operation: "CopyObject",
      method: "PUT",
      key: to,
      headers: {
        ...(metadata ? { "x-amz-metadata-directive": "REPLACE" } : {}),
        ...metadataHeaders(metadata),
      },
      root: "CopyObjectResult",
      signal,
    });
    return answer && bareEtag(answer.xml!.text("ETag"));
  }

  async list(options: ListPageOptions & RequestOptions = {}): Promise<ListPage> {
    const { prefix = "", delimiter, startAfter, next, max = 1000, signal } = options;
    const { location } = this;
    const { xml } = await this.#requests.send({
      operation: "ListObjectsV2",
      method: "GET",
      query: {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": `${max}`,
        ...(location.prefix + prefix === "" ? {} : { prefix: location.prefix + prefix }),
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(startAfter === undefined ? {} : { "start-after": location.prefix + startAfter }),
        ...(next === undefined ? {} : nextParameters(next, location.prefix)),
      },
      root: "ListBucketResult",
      repeated: "Contents",
      signal,
    });
    return listPage(xml!, (key) => location.relative(key));
  }

  begin(key: string, metadata?: Metadata): Promise<MultipartUpload> {
    return this.#multiparts.begin(key, metadata);
  }

  uploadPart(
    upload: MultipartUpload,
    number: number,
    bytes: Uint8Array,
    options: RequestOptions = {},
  ): Promise<UploadedPart> {
    return this.#multiparts.uploadPart(upload, number, bytes, options);
  }

  copyPart(
    upload: MultipartUpload,
    number: number,
    source: { key: string; start: number; count: number; etag: string },
    options: RequestOptions = {},
  ): Promise<UploadedPart> {
    return this.#multiparts.copyPart(upload, number, source, options);
  }

  complete(
    upload: MultipartUpload,
    parts: readonly UploadedPart[],
    options: CompleteOptions = {},
  ): Promise<string | undefined> {
    return this.#multiparts.complete(upload, parts, options);
  }

  abort(upload: MultipartUpload): Promise<void> {
    return this.#multiparts.abort(upload);
  }

  parts(upload: MultipartUpload): Promise<UploadedPart[] | undefined> {
    return this.#multiparts.parts(upload);
  }

  uploads(): AsyncIterable<readonly ListedUpload[]> {
    return this.#multiparts.uploads();
  }
}

/** Creates a bucket without looking for it: that begins with the first request. */
export function openBucket(options: S3BucketOptions): S3Bucket {
  return new S3Bucket(options);
}

function replaced(): FerryError {
  return new FerryError("busy", "the object was replaced or removed while it was being read");
}
