/**
 * The header fields of tus.
 *
 * @module
 */

import { decodeBase64 } from "@std/encoding/base64";
import { FerryError } from "../../../../lib/core/errors.ts";
import { reprDigestWishes } from "../exchange/digest_fields.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";

/** The version of the protocol. */
export const VERSION = "1.0.0";

/** The type of the bytes of an upload. */
const CONTENT_TYPE = "application/offset+octet-stream";

/**
 * A field with a number of bytes; undefined if it is not there.
 *
 * @throws {FerryError} `bad_header`; `too_large` for 2^53 bytes and more
 */
export function countIn(exchange: Exchange, name: string): number | undefined {
  const text = exchange.header(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,30}$/.test(text)) {
    throw new FerryError("bad_header", `the header field ${name} is not a number of bytes`);
  }
  const count = Number(text);
  if (Number.isSafeInteger(count)) return count;
  throw new FerryError("too_large", "files of 2^53 bytes and more are not taken");
}

/**
 * The values of Upload-Metadata by their keys; a key without a value has the value "".
 *
 * @throws {FerryError} `bad_header`
 */
export function parseMetadata(text: string): Map<string, string> {
  const values = new Map<string, string>();
  if (text.trim() === "") return values;
  for (const pair of text.split(",")) {
    const [key = "", encoded = "", ...more] = pair.trim().split(" ");
    if (key === "" || more.length > 0) throw malformed("its parts are a key and a value in base64");
    if (values.has(key)) throw malformed(`the key ${key} is there twice`);
    values.set(key, decoded(key, encoded));
  }
  return values;
}

function decoded(key: string, encoded: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(decodeBase64(encoded));
  } catch {
    throw malformed(`the value of ${key} is no UTF-8 in base64`);
  }
}

function malformed(reason: string): FerryError {
  return new FerryError("bad_header", `the header field upload-metadata is malformed: ${reason}`);
}

/**
 * Whether a client wants to know the MD5 of the file.
 *
 * @throws {FerryError} `bad_header`
 */
export function wantsMd5({ request }: Exchange): boolean {
  const weight = reprDigestWishes(request.headersDistinct).get("md5");
  return typeof weight === "number" && weight > 0;
}

/**
 * Whether bytes of an upload follow.
 *
 * @throws {HttpFailure} 415 if something else follows
 */
export function hasBytes(exchange: Exchange): boolean {
  const type = exchange.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type === CONTENT_TYPE) return true;
  if (exchange.body.size === 0) return false;
  throw wrongType();
}

/** The failure of a request whose body is of another type. */
export function wrongType(): HttpFailure {
  const failure = new FerryError("usage", `the bytes of an upload have the type ${CONTENT_TYPE}`);
  return new HttpFailure(415, failure, { "accept-patch": CONTENT_TYPE });
}
