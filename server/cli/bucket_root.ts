/**
 * A `--root` that names a bucket of an object store instead of a directory: `s3://BUCKET/PREFIX`.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { RESERVED_DIRECTORY } from "../../lib/core/remote_name.ts";

/** The options that decide about it. */
export interface BucketOptions {
  /** The root: a directory, or `s3://BUCKET/PREFIX`. */
  root: string;
  /** Where the object store is. */
  "s3-endpoint"?: string | undefined;
  /** The region that requests are signed for. */
  "s3-region"?: string | undefined;
  /** Whether the bucket is named in the path of requests and never in their host name. */
  "s3-path-style": boolean;
  /** How much all files may take. */
  quota?: number | undefined;
  /** Whether clients may make symbolic links. */
  "allow-links"?: boolean | undefined;
  /** Whether files are flushed. */
  durability: "full" | "none";
  /** Commands that clients may run. */
  "allow-exec": readonly string[];
  /** Whether clients may run anything. */
  "allow-shell": boolean;
  /** The program that is run after uploads. */
  "on-stored"?: string | undefined;
  /** The directory of the queue of that. */
  "hook-queue"?: string | undefined;
}

/** Where a bucket is. */
export interface BucketRoot {
  /** Its name. */
  readonly bucket: string;
  /** What all keys begin with, without slashes at its ends; "" for the whole bucket. */
  readonly prefix: string;
  /** The URL of the object store. */
  readonly endpoint: string;
  /** The region that requests are signed for; undefined if no option names it. */
  readonly region: string | undefined;
  /** Whether the bucket is named in the path of requests; undefined if no option says so. */
  readonly pathStyle: true | undefined;
}

/** What `--root` begins with if it names a bucket. */
const SCHEME = /^s3:\/\//i;

/** The longest prefix in bytes. It leaves at least half of the 1024 bytes of a key to the names of files. */
const MAX_PREFIX_BYTES = 512;

/**
 * The bucket that the options name; undefined if the root is a directory. Whether there can be such a bucket and such
 * an endpoint is for the storage to say.
 *
 * @throws {FerryError} `usage` for a URL that has no prefix of names or contains credentials, and for options that do
 * not belong together
 */
export function bucketRoot(options: BucketOptions): BucketRoot | undefined {
  const { root, "s3-endpoint": endpoint, "s3-region": region } = options;
  const pathStyle = options["s3-path-style"];
  if (!isBucketUrl(root)) {
    const name = [
      ["--s3-endpoint", endpoint !== undefined],
      ["--s3-region", region !== undefined],
      ["--s3-path-style", pathStyle],
    ].find(([, given]) => given)?.[0];
    if (name === undefined) return undefined;
    throw usage(`${name} belongs to a bucket, and ${quote(root)} is a directory`);
  }
  const where = parseBucketUrl(root);
  assertSuits(options);
  if (endpoint === undefined) {
    throw usage(
      `${root} needs --s3-endpoint URL, where its object store is: ` +
        "https://s3.REGION.amazonaws.com for AWS",
    );
  }
  assertNoSecrets("--s3-endpoint", endpoint);
  return { ...where, endpoint, region, pathStyle: pathStyle || undefined };
}

/** Whether a root is a bucket rather than a directory. */
export function isBucketUrl(root: string): boolean {
  return SCHEME.test(root);
}

/** Parses `s3://BUCKET/PREFIX`. All after the bucket is taken literally: no query, no percent-encoding. */
function parseBucketUrl(url: string): Pick<BucketRoot, "bucket" | "prefix"> {
  assertNoSecrets("--root", url);
  const [, bucket = "", rest = ""] = /^s3:\/\/([^/]*)(.*)$/is.exec(url) ?? [];
  if (bucket === "") throw usage(`--root takes s3://BUCKET/PREFIX, and ${url} names no bucket`);
  const prefix = rest.replace(/^\/|\/$/g, "");
  const parts = prefix === "" ? [] : prefix.split("/");
  const isOdd = parts.some((part) => ["", ".", ".."].includes(part));
  // deno-lint-ignore no-control-regex
  if (isOdd || !prefix.isWellFormed() || /[\0-\x1f\x7f]/.test(prefix)) {
    throw usage(`--root takes s3://BUCKET/PREFIX, and ${quote(prefix)} is no prefix of names`);
  }
  if (parts.includes(RESERVED_DIRECTORY)) {
    throw usage(`${quote(prefix)} is where the ferryds of another root keep what is theirs`);
  }
  if (new TextEncoder().encode(prefix).length > MAX_PREFIX_BYTES) {
    throw usage(`The prefix of a bucket may have ${MAX_PREFIX_BYTES} bytes, and this one has more`);
  }
  return { bucket, prefix };
}

/** Refuses options that mean something for a directory alone. */
function assertSuits(options: BucketOptions): void {
  if (options.quota !== undefined) {
    throw usage(
      "--quota cannot be kept on a bucket: each ferryd would count for itself what several write. " +
        "Set the quota of the bucket in its object store",
    );
  }
  if (options.durability === "none") {
    throw usage("--durability none is for a directory: an object store decides that itself");
  }
  if (options["allow-links"]) {
    throw usage("--allow-links is for a directory: an object store has no symbolic links");
  }
  if (options["on-stored"] !== undefined && options["hook-queue"] === undefined) {
    throw usage(
      "--on-stored with a bucket needs --hook-queue DIR, a directory on this machine that keeps for " +
        "which uploads the command has still to be run",
    );
  }
  const exec = options["allow-shell"]
    ? "--allow-shell"
    : options["allow-exec"].length > 0
    ? "--allow-exec"
    : undefined;
  if (exec !== undefined) {
    throw usage(`${exec} needs a --root that is a directory: commands run in it`);
  }
}

/** Refuses a URL with credentials, and does not repeat them. */
function assertNoSecrets(option: string, url: string): void {
  if (!hasSecrets(url)) return;
  throw usage(
    `${option} contains credentials, which others can see on a command line: ` +
      "give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in ~/.aws/credentials",
  );
}

/** Whether a URL has a user or a password, which may contain slashes if somebody has not encoded it. */
function hasSecrets(url: string): boolean {
  return /^([^/@]*|[^/@:]*:[^@]*)@/.test(url.replace(/^[a-z\d+.-]*:\/\//i, ""));
}

function usage(message: string): FerryError {
  return new FerryError("usage", message);
}
