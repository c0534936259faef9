/**
 * The names of checksum algorithms, and checksums as text. What computes them is in `lib/digest`.
 *
 * @module
 */

import { sameBytes } from "./constant_time.ts";

/** What files are checked with: md5 unless another one is asked for. */
export type Algorithm = "md5" | "sha256" | "xxh128";

/** The algorithms, the default first. */
export const ALGORITHMS: readonly Algorithm[] = ["md5", "sha256", "xxh128"];

/**
 * A checksum as text: of md5 the 32 lower-case hexadecimal digits alone, of the others the name in front of
 * them, as in `sha256:e3b0…` and `xxh128:99aa…`. Two of one algorithm are the same where the texts are.
 */
export type Checksum = string;

const HEX_DIGITS: Readonly<Record<Algorithm, number>> = { md5: 32, sha256: 64, xxh128: 32 };

/** The checksums of no bytes. */
const EMPTY: Readonly<Record<Algorithm, Checksum>> = {
  // RFC 1321, appendix A.5
  md5: "d41d8cd98f00b204e9800998ecf8427e",
  sha256: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  xxh128: "xxh128:99aa06d3014798d86001c324468d497f",
};

/** The checksum of no bytes. */
export function emptyChecksum(algorithm: Algorithm): Checksum {
  return EMPTY[algorithm];
}

/** The text of a checksum of that algorithm with those hexadecimal digits. */
export function checksumOf(algorithm: Algorithm, hex: string): Checksum {
  return algorithm === "md5" ? hex : `${algorithm}:${hex}`;
}

/** The hexadecimal digits of a checksum, without the algorithm's name. */
export function hexOf(checksum: Checksum): string {
  return checksum.slice(checksum.indexOf(":") + 1);
}

/** The algorithm of a text that is a checksum; undefined where it is none. */
export function algorithmOf(text: string): Algorithm | undefined {
  const colon = text.indexOf(":");
  const name = colon < 0 ? "md5" : text.slice(0, colon);
  const algorithm = ALGORITHMS.find((known) => known === name);
  if (!algorithm || colon >= 0 && algorithm === "md5") return undefined;
  const hex = text.slice(colon + 1);
  return hex.length === HEX_DIGITS[algorithm] && /^[0-9a-f]*$/.test(hex) ? algorithm : undefined;
}

/** Whether a text is an md5 as it stands on the wire: 32 lower-case hexadecimal digits. */
export function isMd5(text: string): boolean {
  return algorithmOf(text) === "md5";
}

/** Whether two checksums are the same, in a time that does not tell where they differ. */
export function sameChecksum(a: Checksum, b: Checksum): boolean {
  const encoder = new TextEncoder();
  return sameBytes(encoder.encode(a), encoder.encode(b));
}
