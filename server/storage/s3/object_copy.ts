/**
 * Copies objects on the side of the store.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import type { Checksum } from "../../../lib/core/checksum.ts";
import type { ListedObject, Metadata, MultipartUpload, UploadedPart } from "./bucket.ts";
import { inParallel } from "./in_parallel.ts";
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
 * @returns the ETag of the copy
 * @throws {FerryError} `busy` if the object is not the listed one any more; `io`
 */
export async function copyObject(
  served: ServedBucket,
  object: ListedObject,
  to: string,
  { sizes = COPY_SIZES, signal }: CopyObjectOptions,
): Promise<string> {
  const { bucket, records } = served;
  const { key, etag, size } = object;
  // The ETag of an object of several parts tells no checksum, and the record about it is found by its key.
  const known = etag.includes("-") ? await records.all(key, etag) : [];
  if (size <= sizes.whole) {
    const metadata = known.length > 0 ? await metadataFor(served, object, known) : undefined;
    const copied = await bucket.copy(key, to, { ifMatch: etag, metadata, signal });
    if (copied === undefined) throw replaced();
    return copied;
  }
  const upload = await bucket.begin(to, await metadataFor(served, object, known));
  try {
    const parts = await copyParts(served, upload, object, { sizes, signal });
    const copied = await bucket.complete(upload, parts, { signal });
    return copied!;
  } catch (error) {
    await bucket.abort(upload).catch(() => {});
    throw error;
  }
}

/** The metadata of an object with what only a record or the ETag tells of it. */
async function metadataFor(
  { bucket, engine }: ServedBucket,
  { key, etag }: ListedObject,
  known: readonly Checksum[],
): Promise<Metadata> {
  const head = await bucket.head(key);
  if (head?.etag !== etag) throw replaced();
  const md5 = knownChecksum(head, "md5", engine);
  return {
    ...metadataOf({ checksums: [...known, ...(md5 === null ? [] : [md5])] }),
    ...head.metadata,
  };
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

function replaced(): FerryError {
  return new FerryError("busy", "the file was replaced or removed meanwhile");
}
