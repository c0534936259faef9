/**
 * Where a bucket is: its endpoint and region, and the URLs of what is in it.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";

/** What is needed to find a bucket. */
export interface S3LocationOptions {
  /** The name of the bucket. */
  bucket: string;
  /** The prefix of all keys, without slashes at its ends. Default: "", the whole bucket. */
  prefix?: string | undefined;
  /** The address of the store: `http` or `https`, a host, a port. Default: that of AWS for the region. */
  endpoint?: string | undefined;
  /** The region that requests are signed for. Default: `us-east-1`. */
  region?: string | undefined;
  /**
   * Whether the bucket is in the path of a URL rather than in its host name. Default: true, except for AWS.
   */
  pathStyle?: boolean | undefined;
}

/** Where a bucket is. */
export class S3Location {
  /** The name of the bucket. */
  readonly bucket: string;
  /** What all keys begin with: "", or ending with a slash. */
  readonly prefix: string;
  /** The region that requests are signed for. */
  readonly region: string;
  /** The address of the store, without a slash at its end. */
  readonly endpoint: string;
  /** The URL of the bucket, without a slash at its end. */
  readonly #base: string;

  /** @throws {FerryError} `usage` for what cannot be a bucket, a prefix or an endpoint */
  constructor(options: S3LocationOptions) {
    const { bucket, prefix = "", region = "us-east-1" } = options;
    const { endpoint = `https://s3.${region}.amazonaws.com` } = options;
    if (!/^[\w.:-]{1,255}$/.test(bucket) || /^\.+$/.test(bucket)) {
      throw new FerryError("usage", `${JSON.stringify(bucket)} is no name of a bucket`);
    }
    if (!/^[\w-]{1,64}$/.test(region)) {
      throw new FerryError("usage", `${JSON.stringify(region)} is no region`);
    }
    const url = parsedEndpoint(endpoint);
    const { pathStyle = !/(^|\.)amazonaws\.com(\.cn)?$/.test(url.hostname) } = options;
    this.bucket = bucket;
    this.region = region;
    const inner = prefix.replace(/^\/+|\/+$/g, "");
    this.prefix = inner === "" ? "" : `${inner}/`;
    this.endpoint = url.href.replace(/\/+$/, "");
    if (!pathStyle) url.hostname = `${bucket}.${url.hostname}`;
    const base = url.href.replace(/\/+$/, "");
    this.#base = pathStyle ? `${base}/${encoded(bucket)}` : base;
    if (this.prefix !== "") encodeKey(this.prefix);
  }

  /**
   * The URL of an object, or of the bucket.
   *
   * @param key relative to the prefix; undefined for the bucket
   * @throws {FerryError} `bad_name` if no URL can have the key
   */
  url(key: string | undefined, query: Readonly<Record<string, string>> = {}): string {
    const search = Object.entries(query)
      .map(([name, value]) => value === "" ? name : `${name}=${encoded(value)}`).join("&");
    const path = key === undefined ? "" : encodeKey(this.prefix + key);
    return `${this.#base}/${path}${search === "" ? "" : `?${search}`}`;
  }

  /** The value of `x-amz-copy-source` for an object. */
  copySource(key: string): string {
    return `/${encoded(this.bucket)}/${encodeKey(this.prefix + key)}`;
  }

  /** The key of an object relative to the prefix. */
  relative(key: string): string {
    return key.slice(this.prefix.length);
  }
}

function parsedEndpoint(endpoint: string): URL {
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    throw new FerryError("usage", `the endpoint ${JSON.stringify(endpoint)} is no URL`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new FerryError(
      "usage",
      "an endpoint has no user and no password: keys do not belong there",
    );
  }
  if (!/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new FerryError("usage", "an endpoint is the http or https address of an object store");
  }
  return url;
}

/** Escapes everything but unreserved characters (RFC 3986): some stores sign a bare `+` or `*` otherwise. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function encodeKey(key: string): string {
  const parts = key.split("/");
  // URLs drop such parts, however they are escaped.
  if (parts.some((part) => part === "." || part === "..")) {
    throw new FerryError("bad_name", "no object can be reached whose name has a part . or ..");
  }
  if (!key.isWellFormed() || key.includes("\0")) {
    throw new FerryError("bad_name", "the object store takes no such name");
  }
  return parts.map(encoded).join("/");
}
