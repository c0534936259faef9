/**
 * Buckets of real object stores, opened as a storage opens them.
 *
 * @module
 */

import {
  openBucket,
  type S3Bucket,
  type S3BucketOptions,
} from "../../../server/storage/s3/s3_bucket.ts";
import { FaultProxy } from "../fault_proxy.ts";
import { RUNTIME } from "../runtime.ts";
import { CEPH } from "./ceph.ts";
import { Engine, type EngineKind, type SharedEngine, testWithEngine } from "./engine.ts";
import { SWIFT } from "./swift.ts";

/** The engines that everything is tested with. */
export const ENGINES: readonly EngineKind[] = [CEPH, SWIFT];

/** Options that reach a new bucket of an engine, with a prefix that has to be escaped. */
export async function bucketOptions(engine: SharedEngine): Promise<S3BucketOptions> {
  const { endpoint, region, accessKeyId, secretAccessKey } = engine;
  return {
    bucket: await engine.bucket(),
    prefix: "ä b/+",
    endpoint,
    region,
    credentials: () => Promise.resolve({ accessKeyId, secretAccessKey }),
    runtime: RUNTIME,
  };
}

/** Opens a new bucket of an engine. */
export async function newBucket(
  engine: SharedEngine,
  options: Partial<S3BucketOptions> = {},
): Promise<S3Bucket> {
  return openBucket({ ...await bucketOptions(engine), ...options });
}

/** A bucket that is reached through a proxy, and the options that reach it without. */
export interface ProxiedBucket extends AsyncDisposable {
  /** The bucket, through the proxy. */
  readonly bucket: S3Bucket;
  /** The proxy, which changes nothing until it has a rule. */
  readonly proxy: FaultProxy;
  /** What reaches the bucket directly. */
  readonly direct: S3BucketOptions;
}

/** Opens a new bucket of the shared engine of a kind through a proxy. */
export async function behindProxy(
  kind: EngineKind,
  options: Partial<S3BucketOptions> = {},
): Promise<ProxiedBucket> {
  const direct = await bucketOptions(await Engine.shared(kind));
  const proxy = FaultProxy.start(direct.endpoint!);
  const bucket = openBucket({ ...direct, endpoint: proxy.url, ...options });
  return { bucket, proxy, direct, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
}

/** A test that runs with a new bucket of each engine. */
export function testBuckets(
  criterion: string,
  run: (bucket: S3Bucket, kind: EngineKind) => Promise<void>,
): void {
  for (const kind of ENGINES) {
    testWithEngine(kind, `${criterion}, on ${kind.name}`, async () => {
      await run(await newBucket(await Engine.shared(kind)), kind);
    });
  }
}
