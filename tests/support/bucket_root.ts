/**
 * How `ferryd` is told to serve a bucket of an object store.
 *
 * @module
 */

import type { StoreAccess } from "./raw_bucket.ts";

/** What a `ferryd` over a bucket is started with. */
export interface BucketRootArgs {
  /** The value of `--root`. */
  readonly root: string;
  /** Further arguments. */
  readonly args: readonly string[];
  /** Variables of the environment, which have the keys. */
  readonly env: Readonly<Record<string, string>>;
}

/** What a `ferryd` over a bucket, or a prefix in it, is started with. */
export function bucketRootArgs(store: StoreAccess, bucket: string, prefix = ""): BucketRootArgs {
  return {
    root: `s3://${bucket}/${prefix}`,
    args: ["--s3-endpoint", store.endpoint, "--s3-region", store.region],
    env: {
      AWS_ACCESS_KEY_ID: store.accessKeyId,
      AWS_SECRET_ACCESS_KEY: store.secretAccessKey,
    },
  };
}
