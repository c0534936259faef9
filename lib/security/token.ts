/**
 * Tokens as people hold them: one line of text, an id that is no secret and a secret that is.
 *
 * @module
 */

import { encodeBase64Url } from "@std/encoding/base64url";
import { encodeHex } from "@std/encoding/hex";
import { FerryError } from "../core/errors.ts";

/** A token. */
export interface Token {
  /** What it is called by: 12 hexadecimal digits. */
  readonly id: string;
  /** What proves it: 256 random bits as 43 characters of base64url. */
  readonly secret: string;
}

const ID_BYTES = 6;
const SECRET_BYTES = 32;
const TOKEN = /^ferry_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** A new one, that nobody else has. */
export function createToken(): Token {
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
  return { id: encodeHex(random(ID_BYTES)), secret: encodeBase64Url(random(SECRET_BYTES)) };
}

/** A token as {@linkcode parseToken} reads it. */
export function formatToken({ id, secret }: Token): string {
  return `ferry_${id}_${secret}`;
}

/**
 * Reads a token; spaces around it do not matter.
 *
 * @throws {FerryError} `usage`, which does not show the text
 */
export function parseToken(text: string): Token {
  const match = TOKEN.exec(text.trim());
  if (!match) throw new FerryError("usage", "it is no token: one looks like ferry_ID_SECRET");
  return { id: match[1]!, secret: match[2]! };
}
