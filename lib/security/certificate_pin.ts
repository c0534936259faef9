/**
 * Fingerprints of certificates, by which a client can recognize a server.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import { FerryError, quote } from "../core/errors.ts";

/**
 * A host name that ferry's own certificates contain in addition to the names of their hosts. No host can have that name
 * (RFC 6761, section 6.4), so no authority signs a certificate for it. A certificate that is valid for it was therefore
 * trusted directly.
 */
export const UNISSUABLE_NAME = "ferry.invalid";

/**
 * Parses the fingerprint of a certificate: `sha256:` and 64 hexadecimal digits, with or without colons between them, as
 * `openssl x509 -fingerprint -sha256` prints them.
 *
 * @returns the digits, in lower case
 * @throws {FerryError} `usage` if it is not valid
 */
export function parsePin(text: string): string {
  const match = /^(?:sha256:)?([0-9a-f]{64}|(?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/i.exec(text.trim());
  if (!match) {
    throw new FerryError(
      "usage",
      `${quote(text)} is no pin: write sha256: and 64 hexadecimal digits`,
    );
  }
  return match[1]!.replaceAll(":", "").toLowerCase();
}

/** The fingerprint of a certificate, in the form that {@linkcode parsePin} reads. */
export async function pinOf(der: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(der));
  return `sha256:${encodeHex(new Uint8Array(digest))}`;
}
