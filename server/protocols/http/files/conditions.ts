/**
 * The conditions of a GET or HEAD (RFC 9110, section 13): whether to send the file, to say that it has not changed, or
 * to refuse.
 *
 * @module
 */

import { ifMatch, ifNoneMatch } from "@std/http/etag";
import { parseHttpDate } from "../exchange/http_date.ts";

/** For this long after a change, in milliseconds, another one may give the file the same time in whole seconds. */
const GRAIN_MS = 2000;

/** Stands for a tag that is not known: no client sends it. */
const NO_TAG = "\0";

/** What tells one version of a file from another. */
export interface Validators {
  /** The strong entity tag; undefined if none is known. */
  readonly etag: string | undefined;
  /** The modification time in milliseconds since 1970. */
  readonly mtime: number;
}

/** A header field of the request, by its name in lower case. */
type Field = (name: string) => string | undefined;

/** The names of the fields that hold conditions, in lower case. */
export const CONDITIONS: readonly string[] = [
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
];

/** What the conditions of a request come to for a file: it is sent, or not since the client has it, or they failed. */
export function judge(
  field: Field,
  { etag = NO_TAG, mtime }: Validators,
): "send" | "same" | "failed" {
  const match = field("if-match");
  const unmodified = timeIn(field, "if-unmodified-since");
  if (match !== undefined) {
    if (!ifMatch(match, etag)) return "failed";
  } else if (unmodified !== undefined && secondOf(mtime) > unmodified) return "failed";
  const noneMatch = field("if-none-match");
  const modified = timeIn(field, "if-modified-since");
  if (noneMatch !== undefined) return ifNoneMatch(noneMatch, etag) ? "send" : "same";
  return modified !== undefined && secondOf(mtime) <= modified ? "same" : "send";
}

/** Whether the Range of a request applies: the client has a part of this very version, or does not say of which. */
export function rangeApplies(field: Field, { etag, mtime }: Validators, now: number): boolean {
  const validator = field("if-range");
  if (validator === undefined) return true;
  if (/^(W\/)?"/.test(validator)) return validator === etag;
  const isStrong = now - mtime >= GRAIN_MS;
  return isStrong && parseHttpDate(validator) === secondOf(mtime);
}

function timeIn(field: Field, name: string): number | undefined {
  const text = field(name);
  return text === undefined ? undefined : parseHttpDate(text);
}

/** A time as header fields have it: without the part of a second. */
function secondOf(time: number): number {
  return Math.floor(time / 1000) * 1000;
}
