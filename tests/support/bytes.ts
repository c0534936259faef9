/**
 * Bytes as the tests make and compare them.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** 1 KiB in bytes. */
export const KIB = 1024;

/** 1 MiB in bytes. */
export const MIB: number = 1024 * KIB;

/** Encodes texts as UTF-8. */
export const utf8: TextEncoder = new TextEncoder();

/** Decodes bytes as UTF-8. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** The MD5 of bytes or of a text, in hex. */
export function md5(content: Uint8Array | string): string {
  return createHash("md5").update(content).digest("hex");
}

/** The SHA-256 of bytes or of a text, in hex. */
export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Bytes of which no two chunks are equal. */
export function patterned(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31) >>> 3;
  return bytes;
}
