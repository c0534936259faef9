/**
 * Multipart uploads of a bucket of an S3-compatible object store.
 *
 * @module
 */

import { decodeHex } from "@std/encoding/hex";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Digests } from "../../../lib/digest/digests.ts";
import type {
  ListedUpload,
  Metadata,
  MultipartUpload,
  ObjectHead,
  RequestOptions,
  UploadedPart,
} from "./bucket.ts";
import type { Copying } from "./copying.ts";
import { partsPage, uploadsPage } from "./list_answers.ts";
import { bareEtag, etagMatches, md5Header, metadataHeaders } from "./object_headers.ts";
import { fitsXml } from "./s3_answers.ts";
import { s3ErrorOf } from "./s3_error.ts";
import type { S3Location } from "./s3_location.ts";
import type { S3Request, S3Requests } from "./s3_requests.ts";

/** Options of {@linkcode S3Multiparts}. */
export interface S3MultipartsOptions {
  /** Makes the requests. */
  requests: S3Requests;
  /** Where the bucket is. */
  location: S3Location;
  /** Copies on the side of the store. */
  copying: Copying;
  /** Computes MD5s. */
  digests: Digests;
  /** Whether ETags are compared with MD5s. */
  comparesEtags: () => boolean;
  /** Looks at an object. */
  head: (key: string, options: RequestOptions) => Promise<ObjectHead | undefined>;
}

/** Options of {@linkcode S3Multiparts.complete}. */
export interface CompleteOptions extends RequestOptions {
  /** Whether the store has to refuse it where the key is taken. Default: false. */
  ifAbsent?: boolean | undefined;
}

/** How long a store may take for each part that it joins to an object, in milliseconds. */
const MS_PER_PART = 100;

/** The multipart uploads of a bucket; `Bucket` describes the methods. */
export class S3Multiparts {
  readonly #options: S3MultipartsOptions;
  readonly #requests: S3Requests;

  /** It makes no request. */
  constructor(options: S3MultipartsOptions) {
    this.#options = options;
    this.#requests = options.requests;
  }

  /** Begins an upload. */
  async begin(key: string, metadata?: Metadata): Promise<MultipartUpload> {
    const request: S3Request = {
      operation: "CreateMultipartUpload",
      method: "POST",
      key,
      query: { uploads: "" },
      headers: metadataHeaders(metadata),
      root: "InitiateMultipartUploadResult",
    };
    const { xml } = fitsXml(key)
      ? await this.#requests.send(request)
      : await this.#requests.sendOnce(request).catch((error) => {
        if (s3ErrorOf(error)?.status !== 500) throw error;
        // Some stores fail to answer with the name.
        const reason = "the object store takes such a name only for small objects";
        throw new FerryError("bad_name", reason, { cause: error });
      });
    const uploadId = xml?.text("UploadId");
    if (!uploadId) throw new FerryError("io", "the object store gave an upload no id");
    return { key, uploadId };
  }

  /** Uploads a part, and uploads it once more if the ETag says that other bytes arrived. */
  async uploadPart(
    { key, uploadId }: MultipartUpload,
    number: number,
    bytes: Uint8Array,
    { signal }: RequestOptions,
  ): Promise<UploadedPart> {
    const md5 = this.#options.digests.md5Of(bytes);
    for (let again = false;; again = true) {
      const { headers } = await this.#requests.send({
        operation: "UploadPart",
        method: "PUT",
        key,
        query: { partNumber: `${number}`, uploadId },
        headers: md5Header(md5),
        body: bytes,
        signal,
      });
      const etag = bareEtag(headers.get("etag"));
      if (!this.#options.comparesEtags() || etagMatches(etag, md5, headers)) {
        return { number, etag, size: bytes.length };
      }
      if (again) throw wrongEtag();
    }
  }

  /** Makes a range of an object a part. */
  async copyPart(
    { key, uploadId }: MultipartUpload,
    number: number,
    { key: from, start, count, etag }: { key: string; start: number; count: number; etag: string },
    { signal }: RequestOptions,
  ): Promise<UploadedPart> {
    const answer = await this.#options.copying.send(from, etag, {
      operation: "UploadPartCopy",
      method: "PUT",
      key,
      query: { partNumber: `${number}`, uploadId },
      headers: { "x-amz-copy-source-range": `bytes=${start}-${start + count - 1}` },
      root: "CopyPartResult",
      signal,
    });
    if (!answer) throw new FerryError("busy", "the object was replaced while it was being copied");
    return { number, etag: bareEtag(answer.xml!.text("ETag")), size: count };
  }

  /** Makes the object visible. */
  async complete(
    upload: MultipartUpload,
    parts: readonly UploadedPart[],
    { ifAbsent = false, signal }: CompleteOptions,
  ): Promise<string | undefined> {
    const sorted = parts.toSorted((a, b) => a.number - b.number);
    const expected = this.#expectedEtag(sorted);
    const retrying = this.#requests.retrying(signal);
    for (;;) {
      try {
        const { status, headers, xml } = await this.#requests.sendOnce({
          ...completion(upload, sorted),
          headers: {
            "Content-Type": "application/xml",
            ...(ifAbsent ? { "If-None-Match": "*" } : {}),
          },
          answers: [412],
          alone: ifAbsent,
          signal,
        }, retrying.failures);
        if (status === 412) {
          // An earlier request that was cut may have completed it, so that it is in its own way.
          const done = retrying.failures > 0
            ? await this.#found(upload, expected, signal)
            : undefined;
          return done;
        }
        const etag = bareEtag(xml?.text("ETag"));
        if (etag === "") return await this.#completed(upload, expected, signal);
        if (expected !== undefined && !etagMatches(etag, expected, headers)) throw wrongEtag();
        return etag;
      } catch (error) {
        if (signal?.aborted || !mayHideSuccess(error)) throw error;
        const done = await this.#found(upload, expected, signal);
        if (done !== undefined) return done;
        // Without the upload, nothing is left to repeat: another one has replaced the object, or ended the upload.
        if (await this.parts(upload) === undefined) throw noUpload(error);
        await retrying.wait(error);
      }
    }
  }

  /** The ETag of an object that was completed by a store that leaves the ETag of its answer empty. */
  async #completed(
    { key }: MultipartUpload,
    expected: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    // The parts were compared one by one. A look at the object would prove nothing where the ETag is known in advance:
    // another writer may have replaced it already.
    const etag = expected ?? (await this.#options.head(key, { signal }))?.etag;
    if (etag !== undefined) return etag;
    throw new FerryError("io", "the object vanished when it was complete");
  }

  /** The ETag of the object if it is the one that was to be made visible; undefined if it is not. */
  async #found(
    { key }: MultipartUpload,
    expected: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const etag = (await this.#options.head(key, { signal }))?.etag;
    return etag === expected ? etag : undefined;
  }

  /** The ETag of an object that is made of parts: the MD5 of their MD5s; undefined if theirs are no MD5s. */
  #expectedEtag(parts: readonly UploadedPart[]): string | undefined {
    if (!this.#options.comparesEtags()) return undefined;
    if (parts.some(({ etag }) => !/^[0-9a-f]{32}$/.test(etag))) return undefined;
    const md5 = this.#options.digests.md5Of(decodeHex(parts.map(({ etag }) => etag).join("")));
    return `${md5}-${parts.length}`;
  }

  /** Discards an upload. */
  async abort({ key, uploadId }: MultipartUpload): Promise<void> {
    await this.#requests.send({
      operation: "AbortMultipartUpload",
      method: "DELETE",
      key,
      query: { uploadId },
      answers: ["NoSuchUpload", "NoSuchKey"],
    });
  }

  /** The parts of an upload. */
  async parts({ key, uploadId }: MultipartUpload): Promise<UploadedPart[] | undefined> {
    const parts: UploadedPart[] = [];
    for (let marker: string | undefined = "0"; marker !== undefined;) {
      const { code, xml } = await this.#requests.send({
        operation: "ListParts",
        method: "GET",
        key,
        query: { uploadId, "part-number-marker": marker },
        root: "ListPartsResult",
        answers: ["NoSuchUpload", "NoSuchKey"],
      });
      if (code !== "" || !xml) return undefined;
      const page = partsPage(xml);
      parts.push(...page.parts);
      marker = page.parts.length === 0 ? undefined : page.next;
    }
    return parts.sort((a, b) => a.number - b.number);
  }

  /** All uploads under the prefix. */
  async *uploads(): AsyncGenerator<readonly ListedUpload[]> {
    const { location } = this.#options;
    const prefix = location.prefix;
    for (let next: Readonly<Record<string, string>> | undefined = {}; next !== undefined;) {
      const { xml } = await this.#requests.send({
        operation: "ListMultipartUploads",
        method: "GET",
        query: {
          uploads: "",
          "encoding-type": "url",
          ...(prefix === "" ? {} : { prefix }),
          ...next,
        },
        root: "ListMultipartUploadsResult",
      });
      const page = uploadsPage(xml!, (key) => location.relative(key));
      if (page.uploads.length > 0) yield page.uploads;
      next = page.next;
    }
  }
}

function completion(
  { key, uploadId }: MultipartUpload,
  parts: readonly UploadedPart[],
): S3Request {
  const list = parts.map(({ number, etag }) =>
    `<Part><PartNumber>${number}</PartNumber><ETag>"${etag}"</ETag></Part>`
  ).join("");
  return {
    operation: "CompleteMultipartUpload",
    method: "POST",
    key,
    query: { uploadId },
    body: new TextEncoder().encode(
      `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${list}</CompleteMultipartUpload>`,
    ),
    work: parts.length * MS_PER_PART,
    root: "CompleteMultipartUploadResult",
  };
}

/** Whether a completion that failed this way may have happened, now or by an earlier request that was cut. */
function mayHideSuccess(error: unknown): boolean {
  const answer = s3ErrorOf(error);
  if (answer) {
    return answer.status >= 500 || answer.status === 200 || answer.status === 409 ||
      answer.code === "NoSuchUpload";
  }
  return error instanceof FerryError &&
    ["unreachable", "closed", "timeout"].includes(error.code);
}

function noUpload(cause: unknown): FerryError {
  return new FerryError("not_found", "there is no such multipart upload in the object store", {
    cause,
  });
}

/** The failure of a store that says that it stored other bytes than it was sent. */
export function wrongEtag(): FerryError {
  return new FerryError("checksum_mismatch", "the object store reports another checksum than sent");
}
