/**
 * The checksum that a header ends with where both sides have agreed on that: a CRC-32 of its length and of all
 * that stands in front of it. PROTOCOL.md specifies the bytes.
 *
 * @module
 */

/** The name by which both sides of a connection announce it. */
export const HEADER_CHECKSUMS = "header-crc32";

/** The key and its value as the last bytes of a header, around the digits of the checksum. */
const TAIL = { before: '"crc32":"', digits: 8, after: '"}' };

/** How many bytes that is. */
const TAIL_BYTES = TAIL.before.length + TAIL.digits + TAIL.after.length;

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
  const digits = checksumOf(header);
  const at = header.length - TAIL.after.length - TAIL.digits;
  for (let i = 0; i < TAIL.digits; i++) header[at + i] = digits.charCodeAt(i);
}

/** Whether a header ends with a checksum, right or wrong. */
export function hasChecksum(header: Uint8Array): boolean {
  const { before, after } = TAIL;
  return stands(header, before, header.length - TAIL_BYTES) &&
    stands(header, after, header.length - after.length);
}

/** Whether a header ends with the checksum that it has to have. */
export function isIntact(header: Uint8Array): boolean {
  const at = header.length - TAIL.after.length - TAIL.digits;
  return hasChecksum(header) && stands(header, checksumOf(header), at);
}

function stands(bytes: Uint8Array, text: string, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/**
 * The CRC-32 of a header's length, as it stands in front of it, and of the header without its last bytes. Node
 * has a CRC-32, too, in a module that takes as long to load as the rest of a program.
 */
function checksumOf(header: Uint8Array): string {
  let remainder = ~0;
  for (let length = header.length, i = 0; i < 4; i++, length >>>= 8) {
    remainder = STEPS[(remainder ^ length) & 0xff]! ^ (remainder >>> 8);
  }
  const end = header.length - TAIL_BYTES;
  for (let i = 0; i < end; i++) {
    remainder = STEPS[(remainder ^ header[i]!) & 0xff]! ^ (remainder >>> 8);
  }
  return (~remainder >>> 0).toString(16).padStart(TAIL.digits, "0");
}
