/**
 * What the conversations with a server consist of.
 *
 * @module
 */

import { md5 } from "../support/bytes.ts";

/** A piece of what a client sends: a header, which is sent with its length before it, or raw bytes. */
export type Part = Readonly<Record<string, unknown>> | Uint8Array;

/** A `put` of a file with its md5. */
export function put(
  filename: string,
  body: Uint8Array,
  keys: Record<string, unknown> = {},
): Part[] {
  const header = { op: "put", filename, md5: md5(body), total_size: body.length };
  return [{ ...header, size: body.length, ...keys }, body];
}

/** The closing header behind a body. */
export function closing(body: Uint8Array, keys: Record<string, unknown> = {}): Part {
  return { end: true, md5: md5(body), size: body.length, ...keys };
}

/** A streamed body, in chunks of `piece` bytes. */
export function streamed(body: Uint8Array, piece: number): Part[] {
  const pieces: Part[] = [];
  for (let from = 0; from < body.length; from += piece) {
    const bytes = body.subarray(from, from + piece);
    pieces.push({ total_size: bytes.length }, bytes);
  }
  return [...pieces, closing(body)];
}
