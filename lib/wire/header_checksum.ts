/**
 * The checksum that a header ends with where both sides have agreed on that: a CRC-32 of its length and of all
 * that stands in front of it. docs/protocol/extensions/header-crc32.md specifies the bytes.
 *
 * @module
 */

/** The name by which both sides of a connection announce it. */
export const HEADER_CHECKSUMS = "header-crc32";

/** The key and its value as the last bytes of a header, around the digits of the checksum. */
const TAIL = { before: '"crc32":"', digits: 8, after: '"}' };

/** How many bytes that is. */
const TAIL_BYTES = TAIL.before.length + TAIL.digits + TAIL.after.length;

/** The codes of the hexadecimal digits. */
const DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));

/** The steps of CRC-32 (ISO 3309, the polynomial of zlib) for each byte. */
const STEPS = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1;
  }
  return remainder;
});

/** A header as JSON with room for its checksum. */
export function makeRoom(json: string): string {
  const comma = json === "{}" ? "" : ",";
  return json.slice(0, -1) + comma + TAIL.before + "0".repeat(TAIL.digits) + TAIL.after;
}

/** Puts its checksum into a header that has room for it. */
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

/** Whether a header ends with the checksum that it has to have. */
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

/**
 * The CRC-32 of a header's length, as it stands in front of it, and of the header without its last bytes. Node
 * has a CRC-32, too, in a module that takes as long to load as the rest of a program.
 */
function checksumOf(header: Uint8Array): number {
  let remainder = ~0;
  for (let length = header.length, i = 0; i < 4; i++, length >>>= 8) {
    remainder = STEPS[(remainder ^ length) & 0xff]! ^ (remainder >>> 8);
  }
  const end = header.length - TAIL_BYTES;
  for (let i = 0; i < end; i++) {
    remainder = STEPS[(remainder ^ header[i]!) & 0xff]! ^ (remainder >>> 8);
  }
  return ~remainder;
}
