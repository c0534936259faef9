/**
 * Entity tags, which are validators of the content of files, and the preconditions that requests for changes make of
 * them (RFC 9110, section 13).
 *
 * @module
 */

import type { Checksum } from "../../../../lib/core/checksum.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { Precondition } from "../../../files/precondition.ts";
import { parseHttpDate } from "./http_date.ts";

const TAG = String.raw`(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"`;
const LIST = new RegExp(String.raw`^[ \t,]*${TAG}(?:[ \t]*,[ \t,]*${TAG})*[ \t,]*$`);

/** An entity tag. */
export interface EntityTag {
  /** Whether it stands for equivalent content, and not for the same bytes. */
  readonly weak: boolean;
  /** What is between its quotes. */
  readonly text: string;
}

/** The strong entity tag of a file: its checksum in quotes. */
export function entityTag(checksum: Checksum): string {
  return `"${checksum}"`;
}

/**
 * Parses the value of If-Match or If-None-Match.
 *
 * @throws {FerryError} `bad_header`
 */
export function parseEntityTags(text: string): "any" | EntityTag[] {
  if (text.trim() === "*") return "any";
  if (!LIST.test(text)) {
    throw new FerryError("bad_header", "If-Match and If-None-Match have entity tags in quotes");
  }
  return [...text.matchAll(new RegExp(TAG, "g"))].map(([tag]) => {
    const weak = tag.startsWith("W/");
    return { weak, text: tag.slice(weak ? 3 : 1, -1) };
  });
}

/**
 * The precondition of a request that changes a file; undefined if it makes none.
 *
 * @param lines the values of the header fields by their names in lower case, as `headersDistinct` of `node:http` has them
 * @throws {FerryError} `bad_header`
 */
export function preconditionIn(
  lines: Readonly<Record<string, readonly string[] | undefined>>,
): Precondition | undefined {
  const match = lines["if-match"]?.join(", ");
  const noneMatch = lines["if-none-match"]?.join(", ");
  const since = lines["if-unmodified-since"]?.at(-1);
  if (match === undefined && noneMatch === undefined && since === undefined) return undefined;
  const [wanted, unwanted] = [match, noneMatch].map((text) =>
    text === undefined ? undefined : parseEntityTags(text)
  );
  // A weak tag never proves that the content is the same, but it may prove that it is not unknown.
  const matches = wanted === "any" ? wanted : wanted?.filter(({ weak }) => !weak).map(textOf);
  return {
    absent: unwanted === "any",
    matches,
    differs: unwanted === "any" ? undefined : unwanted?.map(textOf),
    unmodifiedSince: matches === undefined ? secondsIn(since) : undefined,
  };
}

function textOf({ text }: EntityTag): string {
  return text;
}

/** The time of an HTTP date in seconds since 1970; undefined for anything else, which is to be ignored. */
function secondsIn(text: string | undefined): number | undefined {
  const time = text === undefined ? undefined : parseHttpDate(text);
  return time === undefined ? undefined : time / 1000;
}
