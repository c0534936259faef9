/**
 * Objects as headers describe them.
 *
 * @module
 */

import { decodeHex } from "@std/encoding/hex";
import { encodeBase64 } from "@std/encoding/base64";
import type { Metadata, ObjectHead } from "./bucket.ts";
import { FerryError } from "../../../lib/core/errors.ts";

/** What the names of headers with metadata begin with. */
const META = "x-amz-meta-";

/** The name of metadata that identifies the request that wrote an object. It is not shown. */
const WRITE = "ferry-write";

/** Headers that give an object its metadata. */
export function metadataHeaders(metadata: Metadata = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [META + name, value]),
  );
}

/** Headers that identify the request that writes an object. */
export function writeHeaders(token: string): Record<string, string> {
  return { [META + WRITE]: token };
}

/** The request that wrote an object; undefined if it is not identified. */
export function writeOf(headers: Headers): string | undefined {
  return headers.get(META + WRITE) ?? undefined;
}

/** The header with an MD5 that the store compares with what it received. */
export function md5Header(md5: string): Record<string, string> {
  return { "Content-MD5": encodeBase64(decodeHex(md5)) };
}

/** An ETag without its quotes; "" if there is none. */
export function bareEtag(etag: string | null | undefined): string {
  return (etag ?? "").replace(/^(W\/)?"|"$/g, "");
}

/**
 * Whether an ETag is that of an MD5. Of an object that was encrypted with a key of the client or of a key service it
 * never is.
 */
export function etagMatches(etag: string, md5: string, headers: Headers): boolean {
  const encryption = headers.get("x-amz-server-side-encryption") ?? "";
  return etag === md5 || encryption.startsWith("aws:kms") ||
    headers.has("x-amz-server-side-encryption-customer-algorithm");
}

/** What the headers of an answer say of an object. */
export function headOf(key: string, headers: Headers, now: number): ObjectHead {
  const [, range] = /\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  const size = Number(range ?? headers.get("content-length") ?? NaN);
  if (!Number.isSafeInteger(size)) {
    throw new FerryError("io", "the object store does not say how large an object is");
  }
  const metadata: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name.startsWith(META)) metadata[name.slice(META.length)] = value;
  }
  delete metadata[WRITE];
  return {
    key,
    size,
    etag: bareEtag(headers.get("etag")),
    modified: timeIn(headers, "last-modified", now),
    now: timeIn(headers, "date", now),
    metadata,
  };
}

function timeIn(headers: Headers, name: string, fallback: number): number {
  const time = Date.parse(headers.get(name) ?? "");
  return Number.isNaN(time) ? fallback : time;
}
