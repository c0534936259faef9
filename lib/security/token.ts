/**
 * Tokens in the form that users get: one line of text with a public id and a secret.
 *
 * @module
 */

import { encodeBase64Url } from "@std/encoding/base64url";
import { encodeHex } from "@std/encoding/hex";
import { FerryError } from "../core/errors.ts";

/** A token. */
export interface Token {
  /** Public: 12 hexadecimal digits. */
  readonly id: string;
  /** Secret: 256 random bits as 43 characters of base64url. */
  readonly secret: string;
}

const ID_BYTES = 6;
const SECRET_BYTES = 32;
const TOKEN = /^ferry_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** Makes a new random token. */
export function createToken(): Token {
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
  return { id: encodeHex(random(ID_BYTES)), secret: encodeBase64Url(random(SECRET_BYTES)) };
}

/** The text of a token, which {@linkcode parseToken} reads. */
export function formatToken({ id, secret }: Token): string {
  return `ferry_${id}_${secret}`;
}

/**
 * Parses a token. White space around it is ignored.
 *
 * @throws {FerryError} `usage` if it is not valid; the message does not contain the text
 */
export function parseToken(text: string): Token {
  const match = TOKEN.exec(text.trim());
  if (!match) throw new FerryError("usage", "it is no token: one looks like ferry_ID_SECRET");
  return { id: match[1]!, secret: match[2]! };
}
