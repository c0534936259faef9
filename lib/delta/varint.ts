/**
 * Integers of variable length (LEB128): seven bits in each byte, the least significant first; a set eighth bit says that
 * more follow.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";

/** The longest encoding of an integer up to 2^53-1, in bytes. */
export const VARINT_BYTES = 8;

/** How many bytes an integer from 0 to 2^53-1 takes. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/** Writes an integer from 0 to 2^53-1 at an offset. Returns the offset behind it. */
export function writeVarint(into: Uint8Array, offset: number, value: number): number {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) into[offset++] = rest % 0x80 | 0x80;
  into[offset++] = rest;
  return offset;
}

/** The zigzag code of an integer whose absolute value is below 2^52: 0, -1, 1, -2 are 0, 1, 2, 3. */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

/** The integer of a zigzag code. */
export function unzigzag(code: number): number {
  return code % 2 === 0 ? code / 2 : -(code + 1) / 2;
}

/** Decodes an integer byte by byte. */
export class VarintReader {
  #value = 0;
  #scale = 1;
  #length = 0;

  /**
   * Takes the next byte.
   *
   * @returns the integer; undefined if more bytes belong to it
   * @throws {FerryError} `bad_header` if it is more than 2^53-1, or longer than {@linkcode VARINT_BYTES}
   */
  take(byte: number): number | undefined {
    this.#value += (byte & 0x7f) * this.#scale;
    this.#scale *= 0x80;
    const more = byte >= 0x80;
    if (++this.#length === VARINT_BYTES && more || this.#value > Number.MAX_SAFE_INTEGER) {
      throw new FerryError("bad_header", "an encoded integer is more than 2^53-1");
    }
    if (more) return undefined;
    const value = this.#value;
    this.#value = 0;
    this.#scale = 1;
    this.#length = 0;
    return value;
  }

  /** Whether some bytes of an integer were taken, but not its last one. */
  get pending(): boolean {
    return this.#length > 0;
  }
}
