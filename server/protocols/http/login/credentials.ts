/**
 * Tokens in header fields: `Authorization`, and the challenge that asks for them.
 *
 * @module
 */

import type { IncomingHttpHeaders } from "node:http";
import { decodeBase64 } from "@std/encoding/base64";
import { FerryError } from "../../../../lib/core/errors.ts";
import { formatToken, parseToken, type Token } from "../../../../lib/security/token.ts";

/**
 * The token in an `Authorization` field: `Bearer TOKEN`, or `Basic` with the token as the password and any user name.
 * With the token's id as the user name, the secret alone may be the password; with the whole token as the user name,
 * the password may be empty.
 *
 * @throws {FerryError} `denied` if it holds no token; the message does not contain it
 */
export function tokenIn(authorization: string): Token {
  const [, scheme = "", value = ""] = /^(\S+) +(\S+) *$/.exec(authorization) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return tokenFrom(value);
    case "basic":
      return inBasic(value);
    default:
      throw new FerryError("denied", "it has to be shown as Bearer or Basic credentials");
  }
}

function inBasic(value: string): Token {
  const [, user, password] = /^([^:]*):(.*)$/s.exec(decoded(value)) ?? [];
  if (user === undefined || password === undefined) throw noToken();
  if (password === "") return tokenFrom(user);
  return tokenFrom(
    password.startsWith("ferry_") ? password : formatToken({ id: user, secret: password }),
  );
}

function decoded(base64: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(decodeBase64(base64));
  } catch {
    throw noToken();
  }
}

/**
 * Parses a token.
 *
 * @throws {FerryError} `denied` if it is none; the message does not contain it
 */
export function tokenFrom(text: string): Token {
  try {
    return parseToken(text);
  } catch {
    throw noToken();
  }
}

function noToken(): FerryError {
  return new FerryError("denied", "it is no token: one looks like ferry_ID_SECRET");
}

/**
 * The `WWW-Authenticate` of a response with status 401. Browsers would ask for a user name and a password in a dialog of
 * their own if they were offered Basic, and would go on to send it whatever the page does: they are offered Bearer, which
 * they leave to the page.
 */
export function challengeFor(headers: IncomingHttpHeaders): string {
  return isBrowser(headers) ? 'Bearer realm="ferry"' : 'Basic realm="ferry", charset="UTF-8"';
}

/** Browsers send `Sec-Fetch-Mode` where the connection is encrypted or the server is on this machine. */
function isBrowser(headers: IncomingHttpHeaders): boolean {
  return headers["sec-fetch-mode"] !== undefined ||
    headers["user-agent"]?.startsWith("Mozilla/") === true;
}
