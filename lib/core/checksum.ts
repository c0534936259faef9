/**
 * The names of checksum algorithms, and checksums as text. lib/digest computes them.
 *
 * @module
 */

import { sameBytes } from "./constant_time.ts";

/** The algorithm of a checksum. */
export type Algorithm = "md5" | "sha256" | "xxh128";

/** The algorithms, the default first. */
export const ALGORITHMS: readonly Algorithm[] = ["md5", "sha256", "xxh128"];

/**
 * A checksum as text: for MD5 just the 32 lower-case hexadecimal digits, for the others the name and the digits, as in
 * `sha256:e3b0…` and `xxh128:99aa…`. Two checksums are equal if their texts are equal.
 */
export type Checksum = string;

const HEX_DIGITS: Readonly<Record<Algorithm, number>> = { md5: 32, sha256: 64, xxh128: 32 };

/** The checksums of zero bytes. */
const EMPTY: Readonly<Record<Algorithm, Checksum>> = {
  // RFC 1321, appendix A.5
  md5: "d41d8cd98f00b204e9800998ecf8427e",
  sha256: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  xxh128: "xxh128:99aa06d3014798d86001c324468d497f",
};

/** The checksum of zero bytes. */
export function emptyChecksum(algorithm: Algorithm): Checksum {
  return EMPTY[algorithm];
}

/** Makes the text of a checksum from its algorithm and its hexadecimal digits. */
export function checksumOf(algorithm: Algorithm, hex: string): Checksum {
  return algorithm === "md5" ? hex : `${algorithm}:${hex}`;
}

/** The hexadecimal digits of a checksum, without the algorithm's name. */
export function hexOf(checksum: Checksum): string {
  return checksum.slice(checksum.indexOf(":") + 1);
}

/** The algorithm of a checksum; undefined if the text is not a checksum. */
export function algorithmOf(text: string): Algorithm | undefined {
  const colon = text.indexOf(":");
  const name = colon < 0 ? "md5" : text.slice(0, colon);
  const algorithm = ALGORITHMS.find((known) => known === name);
  if (!algorithm || colon >= 0 && algorithm === "md5") return undefined;
  const hex = text.slice(colon + 1);
  return hex.length === HEX_DIGITS[algorithm] && /^[0-9a-f]*$/.test(hex) ? algorithm : undefined;
}

/** Whether a text is an MD5: 32 lower-case hexadecimal digits. */
export function isMd5(text: string): boolean {
  return algorithmOf(text) === "md5";
}

/** Whether two checksums are equal, in a time that does not depend on where they differ. */
export function sameChecksum(a: Checksum, b: Checksum): boolean {
  const encoder = new TextEncoder();
  return sameBytes(encoder.encode(a), encoder.encode(b));
}
