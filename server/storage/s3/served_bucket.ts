/**
 * What the parts of an S3 storage share.
 *
 * @module
 */

import type { Checksum } from "../../../lib/core/checksum.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { KeptHashes } from "../kept_hashes.ts";
import type { Bucket } from "./bucket.ts";
import type { ChecksumRecords } from "./checksum_records.ts";
import type { Engine } from "./engine_trial.ts";
import type { NameLookup } from "./name_lookup.ts";

/** A bucket that is served, and what is known of it. */
export interface ServedBucket {
  /** The bucket, under the prefix that is served. */
  readonly bucket: Bucket;
  /** Buffers, digest threads and the clock. */
  readonly runtime: Runtime;
  /** What the trial at the start found. */
  readonly engine: Engine;
  /** Looks at names. */
  readonly lookup: NameLookup;
  /** The checksums that were remembered. */
  readonly records: ChecksumRecords;
  /** The files that are being read for their checksums. */
  readonly reading: Map<string, Promise<Checksum>>;
  /** The hashes of the blocks of files. */
  readonly hashes: KeptHashes;
  /** The maximum size of a file in bytes. Default: undefined, no limit. */
  readonly maxFileSize: number | undefined;
  /** Aborted when the storage is disposed of. */
  readonly closing: AbortSignal;
}
