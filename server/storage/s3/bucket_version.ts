/**
 * The version of what servers keep in a bucket beside the files of their clients; see `server/storage/state_version.ts`.
 * It is looked at when a bucket is opened.
 *
 * @module
 */

import { toFerryError } from "../../../lib/core/errors.ts";
import {
  assertKnownFormat,
  MAX_VERSION_BYTES,
  OWN_VERSION,
  VERSION_FILE,
} from "../state_version.ts";
import { RESERVED_PREFIX } from "./object_names.ts";
import type { S3Bucket } from "./s3_bucket.ts";

/** The key of the object with the version. */
const KEY = RESERVED_PREFIX + VERSION_FILE;

/**
 * Checks that this version of ferry can work with what is in a bucket.
 *
 * @returns whether the bucket already says that this version has written there
 * @throws {FerryError} `bad_version`; `io` and the like if the bucket cannot be read
 */
export async function assertKnownBucket(bucket: S3Bucket): Promise<boolean> {
  const text = await read(bucket);
  if (text === undefined || text === OWN_VERSION) return text === OWN_VERSION;
  const { location: { prefix, bucket: name, endpoint } } = bucket;
  try {
    assertKnownFormat(text, prefix + RESERVED_PREFIX.slice(0, -1));
  } catch (error) {
    throw toFerryError(error).during(`use the bucket ${name} at ${endpoint}`);
  }
  return false;
}

/** Makes it known to other versions that this one has written into a bucket. */
export async function writeVersion(bucket: S3Bucket): Promise<void> {
  await bucket.put(KEY, new TextEncoder().encode(OWN_VERSION));
}

async function read(bucket: S3Bucket): Promise<string | undefined> {
  const object = await bucket.get(KEY, { range: { start: 0, count: MAX_VERSION_BYTES } });
  return object && await new Response(object.body).text();
}
