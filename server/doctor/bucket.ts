/**
 * Examines a bucket that is to be served: its store, what that can do, and its clock.
 *
 * @module
 */

import { toFerryError } from "../../lib/core/errors.ts";
import type { BucketRoot } from "../cli/bucket_root.ts";
import { credentialsFrom, regionFrom } from "../storage/s3/credentials.ts";
import { S3Storage } from "../storage/s3/s3_storage.ts";
import { type Finding, ok, problem, warning } from "./findings.ts";

/** Clocks that differ by more than this, in milliseconds, are a warning. Stores refuse requests from 15 minutes on. */
const CLOCK_TOLERANCE_MS = 60_000;

/** How long a store may take to answer, in milliseconds. */
const ANSWER_MS = 10_000;

/** Examines a bucket. What is made in it is in `.ferry/trial`, and is removed. */
export async function* examineBucket(
  root: BucketRoot,
  env: (name: string) => string | undefined,
): AsyncGenerator<Finding, void, void> {
  const where = `${root.bucket} at ${root.endpoint}`;
  const clock = await examineClock(root.endpoint);
  if (clock) yield clock;
  try {
    const started = performance.now();
    const region = root.region ?? await regionFrom(env);
    const credentials = credentialsFrom(env);
    const shortcomings = await S3Storage.examine({ ...root, region, credentials });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    yield ok("bucket", `${where} was tried in ${seconds} s`);
    for (const sentence of shortcomings) yield warning("promises", sentence);
    if (shortcomings.length === 0) yield ok("promises", "all that ferryd promises holds here");
  } catch (error) {
    yield problem("bucket", toFerryError(error).message);
  }
}

/** Compares the clock of a store with that of this machine, by the date of an answer. */
async function examineClock(endpoint: string): Promise<Finding | undefined> {
  let date: number;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(endpoint, { method: "HEAD", redirect: "manual", signal });
    await response.body?.cancel();
    date = Date.parse(response.headers.get("date") ?? "");
  } catch {
    // What keeps the store from being reached is said when it is tried.
    return undefined;
  }
  if (Number.isNaN(date)) return undefined;
  // The date is in whole seconds.
  const off = Date.now() - date;
  if (Math.abs(off) <= CLOCK_TOLERANCE_MS) return ok("clock", "that of the store agrees");
  const seconds = Math.round(Math.abs(off) / 1000);
  const relation = off > 0 ? "behind" : "ahead of";
  return warning(
    "clock",
    `that of the store is ${seconds} s ${relation} this one: set it by NTP; it refuses requests ` +
      "from 15 minutes on",
  );
}
