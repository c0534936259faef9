/**
 * Copies objects on the side of the store.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import type { ListedObject, MultipartUpload, UploadedPart } from "./bucket.ts";
import { hasParts } from "./checksum_records.ts";
import { inParallel } from "../in_parallel.ts";
import { knownChecksum, metadataOf } from "./object_attributes.ts";
import type { ServedBucket } from "./served_bucket.ts";

/** How many parts of an object are copied at the same time. */
const PARTS_AT_ONCE = 4;

/** The most parts of a multipart upload. */
const MOST_PARTS = 10_000;

/** How objects are copied. */
export interface CopySizes {
  /** The largest object that is copied by one request, in bytes. */
  whole: number;
  /** The size of a part of a larger object, in bytes; larger where there would be too many parts. */
  part: number;
}

/** What every S3-compatible store takes. */
export const COPY_SIZES: CopySizes = { whole: 5 * 1024 ** 3, part: 512 * 1024 ** 2 };

/** Options of {@linkcode copyObject}. */
export interface CopyObjectOptions {
  /** How objects are copied. Default: {@linkcode COPY_SIZES}. */
  sizes?: CopySizes | undefined;
  /** Ends the copy with the signal's abort reason. */
  signal: AbortSignal;
}

/**
 * Copies an object with its metadata, and with the checksums that were remembered of it. The copy becomes visible when
 * it is complete.
 *
 * @param object as it was listed, or as a HEAD tells it
 * @returns the ETag of the copy
 * @throws {FerryError} `busy` if the object is not that one any more; `io`
 */
export async function copyObject(
  served: ServedBucket,
  object: ListedObject,
  to: string,
  options: CopyObjectOptions,
): Promise<string> {
  const copied = await copyVersion(served, object, to, options);
  if (copied !== undefined) return copied;
  // Some stores list the copy of an object of several parts with another ETag than a HEAD tells.
  const head = await served.bucket.head(object.key, options);
  const isListed = head?.size === object.size && head.modified === object.modified;
  const again = isListed && head.etag !== object.etag
    ? await copyVersion(served, head, to, options)
    : undefined;
  if (again === undefined) throw new FerryError("busy", "it was replaced or removed meanwhile");
  return again;
}

/** Copies an object that has a certain ETag; undefined if it has another one. */
async function copyVersion(
  served: ServedBucket,
  { key, etag, size }: ListedObject,
  to: string,
  { sizes = COPY_SIZES, signal }: CopyObjectOptions,
): Promise<string | undefined> {
  const { bucket, records, engine } = served;
  // The record about an object of parts is found by its key, and the copy has another one.
  const known = hasParts({ etag }) ? await records.all(key, etag) : [];
  if (size <= sizes.whole && known.length === 0) {
    return await bucket.copy(key, to, { ifMatch: etag, signal });
  }
  const head = await bucket.head(key, { signal });
  if (head?.etag !== etag) return undefined;
  const md5 = knownChecksum(head, "md5", engine);
  const checksums = [...known, ...(md5 === null ? [] : [md5])];
  const metadata = { ...metadataOf({ checksums }), ...head.metadata };
  if (size <= sizes.whole) return await bucket.copy(key, to, { ifMatch: etag, metadata, signal });
  const upload = await bucket.begin(to, metadata);
  try {
    const parts = await copyParts(served, upload, head, { sizes, signal });
    return await bucket.complete(upload, parts, { signal });
  } catch (error) {
    await bucket.abort(upload).catch(() => {});
    throw error;
  }
}

async function copyParts(
  { bucket }: ServedBucket,
  upload: MultipartUpload,
  { key, etag, size }: ListedObject,
  { sizes, signal }: { sizes: CopySizes; signal: AbortSignal },
): Promise<UploadedPart[]> {
  const partSize = Math.max(sizes.part, Math.ceil(size / MOST_PARTS));
  const starts = Array.from({ length: Math.ceil(size / partSize) }, (_, at) => at * partSize);
  const parts: UploadedPart[] = [];
  await inParallel(PARTS_AT_ONCE, starts, async (start, failed) => {
    const source = { key, start, count: Math.min(partSize, size - start), etag };
    const options = { signal: AbortSignal.any([signal, failed]) };
    parts.push(await bucket.copyPart(upload, start / partSize + 1, source, options));
  });
  return parts.sort((a, b) => a.number - b.number);
}
