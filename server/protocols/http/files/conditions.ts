/**
 * The conditions of a GET or HEAD (RFC 9110, section 13): whether to send the file, to say that it has not changed, or
 * to refuse.
 *
 * @module
 */

import { parseEntityTags } from "../exchange/entity_tag.ts";
import { parseHttpDate } from "../exchange/http_date.ts";

/** For this long after a change, in milliseconds, another one may give the file the same time in whole seconds. */
const GRAIN_MS = 2000;

/** What tells one version of a file from another. */
export interface Validators {
  /** The strong entity tag; undefined if none is known. */
  readonly etag: string | undefined;
  /** The modification time in milliseconds since 1970. */
  readonly mtime: number;
}

/** The values of the header fields of a request by their names in lower case, as `headersDistinct` of `node:http`. */
type Lines = Readonly<Record<string, readonly string[] | undefined>>;

/** Whether a request makes any condition, so that the entity tag of the file has to be known. */
export function isConditional(lines: Lines): boolean {
  return [
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
  ].some((name) => lines[name] !== undefined);
}

/**
 * What the conditions of a request come to for a file: it is sent, or not since the client has it, or they failed.
 *
 * @throws {FerryError} `bad_header`
 */
export function judge(lines: Lines, { etag, mtime }: Validators): "send" | "same" | "failed" {
  const match = lines["if-match"];
  const unmodified = timeIn(lines["if-unmodified-since"]);
  if (match !== undefined) {
    if (!includes(match, etag, { weakly: false })) return "failed";
  } else if (unmodified !== undefined && secondOf(mtime) > unmodified) return "failed";
  const noneMatch = lines["if-none-match"];
  const modified = timeIn(lines["if-modified-since"]);
  if (noneMatch !== undefined) {
    return includes(noneMatch, etag, { weakly: true }) ? "same" : "send";
  }
  return modified !== undefined && secondOf(mtime) <= modified ? "same" : "send";
}

/** Whether a list of entity tags includes one. A weak one is the same only where that suffices. */
function includes(
  list: readonly string[],
  etag: string | undefined,
  { weakly }: { weakly: boolean },
): boolean {
  const tags = parseEntityTags(list.join(", "));
  return tags === "any" ||
    tags.some(({ weak, text }) => (weakly || !weak) && `"${text}"` === etag);
}

/** Whether the Range of a request applies: the client has a part of this very version, or does not say of which. */
export function rangeApplies(lines: Lines, { etag, mtime }: Validators, now: number): boolean {
  const validator = lines["if-range"]?.at(-1);
  if (validator === undefined) return true;
  if (/^(W\/)?"/.test(validator)) return validator === etag;
  const isStrong = now - mtime >= GRAIN_MS;
  return isStrong && parseHttpDate(validator) === secondOf(mtime);
}

function timeIn(lines: readonly string[] | undefined): number | undefined {
  const text = lines?.at(-1);
  return text === undefined ? undefined : parseHttpDate(text);
}

/** A time as header fields have it: without the part of a second. */
function secondOf(time: number): number {
  return Math.floor(time / 1000) * 1000;
}
