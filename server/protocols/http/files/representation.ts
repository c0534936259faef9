/**
 * The header fields that describe the content of a file, and what a browser may do with it.
 *
 * @module
 */

import { create as contentDisposition } from "content-disposition";
import mime from "mime";
import type { OpenedFile } from "../../../files/opened_file.ts";
import { entityTag } from "../exchange/entity_tag.ts";
import { formatHttpDate } from "../exchange/http_date.ts";
import type { Validators } from "./conditions.ts";
import { digestFields, SENT } from "./digest_wishes.ts";

/** The type of content of which nothing is known. */
const UNKNOWN = "application/octet-stream";

/**
 * What keeps the content of a file from acting in the origin of the page: a browser gives it an origin of its own, runs
 * no script of it, and takes it for what its type says.
 */
const CONFINED: Readonly<Record<string, string>> = {
  "content-security-policy":
    "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

/** The media type of a file, by its name. */
export function typeOf(filename: string): string {
  // A text without a slash would be taken for an extension.
  const type = mime.getType(`/${filename}`) ?? UNKNOWN;
  return type.startsWith("text/") ? `${type}; charset=utf-8` : type;
}

/** The fields that let a browser keep what is sent and ask each time whether it has changed. */
export const REVALIDATED: Readonly<Record<string, string>> = {
  "cache-control": "private, no-cache",
};

/** The fields that offer content under a file name. */
export function namedFields(name: string, { type }: { type: "inline" | "attachment" }) {
  // For programs that know only names of ASCII; some of them take what follows a percent sign for a code.
  const fallback = name.replace(/[^\x20-\x7e]|%/gu, "_");
  return { ...CONFINED, "content-disposition": contentDisposition(name, { type, fallback }) };
}

/** What tells this version of a file from others. */
export function validatorsOf(file: OpenedFile): Validators {
  const md5 = file.known("md5");
  return { etag: md5 === null ? undefined : entityTag(md5), mtime: file.entry.mtime };
}

/** The fields of a response that tells the version of a file, whether it has the content or not. */
export function versionFields({ etag, mtime }: Validators, now: number): Record<string, string> {
  return {
    ...REVALIDATED,
    ...etag === undefined ? {} : { etag },
    // A time in the future would be none that the client can compare with.
    "last-modified": formatHttpDate(Math.min(mtime, now)),
  };
}

/** The fields that describe the content of a file. */
export function contentFields(
  file: OpenedFile,
  { asAttachment }: { asAttachment: boolean },
): Record<string, string> {
  const { filename } = file.entry;
  const name = filename.slice(filename.lastIndexOf("/") + 1);
  const checksums = SENT.map((algorithm) => file.known(algorithm)).filter((each) => each !== null);
  return {
    "content-type": typeOf(name),
    "accept-ranges": "bytes",
    ...namedFields(name, { type: asAttachment ? "attachment" : "inline" }),
    ...digestFields(checksums),
  };
}
