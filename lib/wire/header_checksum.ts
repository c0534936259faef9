/**
 * The checksum at the end of a header, used if both sides have agreed on header checksums: a CRC-32 of the header's
 * length and of everything before the checksum. docs/protocol/extensions/header-crc32.md specifies the bytes.
 *
 * @module
 */

import { crc32 } from "./crc32.ts";

/** The name of the protocol feature. */
export const HEADER_CHECKSUMS = "header-crc32";

/**
 * The last bytes of a header with a checksum: the key, the number of digits of the value, and the end of the object.
 */
const TAIL = { before: '"crc32":"', digits: 8, after: '"}' };

/** The number of these bytes. */
const TAIL_BYTES = TAIL.before.length + TAIL.digits + TAIL.after.length;

/** The hexadecimal digits as bytes of ASCII. */
const DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));

/** Appends a placeholder for the checksum to a header in JSON. */
export function makeRoom(json: string): string {
  const comma = json === "{}" ? "" : ",";
  return json.slice(0, -1) + comma + TAIL.before + "0".repeat(TAIL.digits) + TAIL.after;
}

/** Fills in the checksum of a header that has a placeholder for it. */
export function addChecksum(header: Uint8Array): void {
  let rest = checksumOf(header);
  for (let at = lastDigit(header), i = 0; i < TAIL.digits; i++, rest >>>= 4) {
    header[at - i] = DIGITS[rest & 0xf]!;
  }
}

/** Whether a header ends with a checksum, right or wrong. */
export function hasChecksum(header: Uint8Array): boolean {
  const { before, after } = TAIL;
  return stands(header, before, header.length - TAIL_BYTES) &&
    stands(header, after, header.length - after.length);
}

/** Whether a header ends with the correct checksum. */
export function isIntact(header: Uint8Array): boolean {
  if (!hasChecksum(header)) return false;
  let rest = checksumOf(header);
  for (let at = lastDigit(header), i = 0; i < TAIL.digits; i++, rest >>>= 4) {
    if (header[at - i] !== DIGITS[rest & 0xf]) return false;
  }
  return true;
}

function lastDigit(header: Uint8Array): number {
  return header.length - TAIL.after.length - 1;
}

function stands(bytes: Uint8Array, text: string, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** The CRC-32 of a header's length, as encoded before the header, and of the header without its last bytes. */
function checksumOf(header: Uint8Array): number {
  const { length } = header;
  const field = Uint8Array.of(length, length >>> 8, length >>> 16, length >>> 24);
  return crc32(header.subarray(0, length - TAIL_BYTES), crc32(field));
}
