/**
 * Digests: of bytes in memory, and of a stream, piece by piece.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createMD5 } from "hash-wasm";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";

/** The md5 of no bytes (RFC 1321, appendix A.5). */
export const EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e";

/** A digest that is fed piece by piece. */
export interface Digest {
  /** Takes the next bytes; they may be overwritten as soon as this returns. */
  update(bytes: Uint8Array): void;
  /** The digest in lower-case hexadecimal. Nothing may be fed after that. */
  hex(): string;
}

/** An md5 of a stream, at the start of it. */
export async function createDigest(): Promise<Digest> {
  const md5 = await createMD5();
  md5.init();
  return { update: (bytes) => void md5.update(bytes), hex: () => md5.digest("hex") };
}

/** The md5 of bytes in memory, in lower-case hexadecimal. */
export function md5Of(bytes: Uint8Array): string {
  // One native call: for small inputs it is several times faster than setting up a stream.
  return bytes.length === 0 ? EMPTY_MD5 : createHash("md5").update(bytes).digest("hex");
}

/** Whether a text is an md5 as it stands on the wire: 32 lower-case hexadecimal digits. */
export function isMd5(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

const utf8 = new TextEncoder();

/** Whether two digests are the same, in a time that does not tell where they differ. */
export function sameDigest(a: string, b: string): boolean {
  const [left, right] = [utf8.encode(a), utf8.encode(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
