/**
 * A program that moves a file or directory of a bucket, for tests that kill it meanwhile. Its argument is JSON.
 *
 * @module
 */

import { parseFileName } from "../../lib/core/remote_name.ts";
import { move } from "../../server/storage/s3/tree_move.ts";
import { type BucketPlace, Instance } from "./served_bucket.ts";

/** What is moved. */
export interface MoveArguments {
  /** The bucket. */
  readonly place: BucketPlace;
  /** The old name. */
  readonly from: string;
  /** The new name. */
  readonly to: string;
}

if (import.meta.main) {
  const { place, from, to } = JSON.parse(Deno.args[0]!) as MoveArguments;
  await using instance = await Instance.open(place);
  await move(instance.served, parseFileName(from), parseFileName(to), { replace: false });
}
