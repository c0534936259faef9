/**
 * CRC-32 as in zlib, PNG and Ethernet (ISO 3309). Node's own is not used: its module takes as long to load as the rest
 * of a program.
 *
 * @module
 */

/** The lookup table, with an entry for each byte value. */
const STEPS = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1;
  }
  return remainder;
});

/**
 * The CRC-32 of bytes, as a number of 32 bits that may be negative.
 *
 * @param before the CRC-32 of the bytes before these
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let remainder = ~before;
  for (let i = 0; i < bytes.length; i++) {
    remainder = STEPS[(remainder ^ bytes[i]!) & 0xff]! ^ (remainder >>> 8);
  }
  return ~remainder;
}
