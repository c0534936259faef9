/**
 * Ranges of a file in the body of a request: those that a signature is wanted of, or the content.
 *
 * They are encoded as pairs of integers of variable length: the gap between the end of the range before (at first the
 * start of the file) and the start of this one, and its length, both in units of a block or of a byte.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { VARINT_BYTES, VarintReader, writeVarint } from "./varint.ts";

/** The most ranges of one request. */
export const MAX_RANGES = 1_048_576;

/** The longest body of ranges, in bytes. */
export const MAX_RANGES_BYTES: number = 16 * 1024 * 1024;

/** A part of a file. */
export interface Range {
  /** The offset of its first byte. */
  from: number;
  /** Its length in bytes, at least 1. */
  size: number;
}

/**
 * Ranges in ascending order that do not overlap. There may be very many, so they are kept as they are encoded, and
 * decoded each time that they are iterated over.
 */
export class Ranges implements Iterable<Range> {
  readonly #encoded: Uint8Array;
  readonly #fileSize: number;
  readonly #unit: number;
  /** How many ranges there are. */
  readonly count: number;
  /** The sum of their lengths in bytes. */
  readonly size: number;

  private constructor(encoded: Uint8Array, fileSize: number, unit: number) {
    this.#encoded = encoded;
    this.#fileSize = fileSize;
    this.#unit = unit;
    let count = 0;
    let size = 0;
    for (const range of this) {
      if (++count > MAX_RANGES) throw bad(`there are more than ${MAX_RANGES}`);
      size += range.size;
    }
    this.count = count;
    this.size = size;
  }

  /**
   * Decodes ranges of a file. The last one may reach over the end of the file by less than one unit; it ends there.
   *
   * @param fileSize the size of the file in bytes
   * @param unit what gaps and lengths are multiples of, in bytes. Default: 1.
   * @throws {FerryError} `bad_header` if they are too many, an integer is not valid, or a range is empty or reaches over
   * the end of the file
   */
  static decode(encoded: Uint8Array, fileSize: number, unit = 1): Ranges {
    if (encoded.length > MAX_RANGES_BYTES) {
      throw bad(`they take ${encoded.length} bytes, and may take ${MAX_RANGES_BYTES}`);
    }
    return new Ranges(encoded, fileSize, unit);
  }

  /** The encoded form, for the body of a request. */
  get encoded(): Uint8Array {
    return this.#encoded;
  }

  /** The ranges in ascending order. */
  *[Symbol.iterator](): Iterator<Range> {
    const unit = this.#unit;
    const units = Math.ceil(this.#fileSize / unit);
    const reader = new VarintReader();
    let gap: number | undefined;
    let end = 0;
    for (const byte of this.#encoded) {
      const value = reader.take(byte);
      if (value === undefined) continue;
      if (gap === undefined) {
        gap = value;
        continue;
      }
      if (value === 0) throw bad("one is empty");
      const start = end + gap;
      end = start + value;
      if (!(end <= units)) throw bad("one reaches over the end of the file");
      yield { from: start * unit, size: Math.min(end * unit, this.#fileSize) - start * unit };
      gap = undefined;
    }
    if (gap !== undefined || reader.pending) throw bad("they end in the middle of one");
  }
}

/** Collects ranges and encodes them. Ranges that touch or overlap become one. */
export class RangeCollector {
  readonly #fileSize: number;
  readonly #unit: number;
  #bytes = new Uint8Array(1024);
  #length = 0;
  #count = 0;
  /** The end of the last range that was encoded, and the range that is still growing, in units. */
  #end = 0;
  #from = 0;
  #to = 0;

  /**
   * @param fileSize the size of the file in bytes
   * @param unit what ranges are rounded to, outwards, in bytes. Default: 1.
   */
  constructor(fileSize: number, unit = 1) {
    this.#fileSize = fileSize;
    this.#unit = unit;
  }

  /** Adds a range, which must not begin before the one that was added last does. */
  add(from: number, size: number): void {
    const start = Math.floor(from / this.#unit);
    const end = Math.ceil((from + size) / this.#unit);
    if (size === 0) return;
    if (this.#to > this.#from && start <= this.#to) {
      this.#to = Math.max(this.#to, end);
      return;
    }
    this.#write();
    this.#from = start;
    this.#to = end;
  }

  /** How many ranges have been added, as far as they do not touch. */
  get count(): number {
    return this.#count + (this.#to > this.#from ? 1 : 0);
  }

  /**
   * The ranges. Nothing may be added afterwards.
   *
   * @throws {FerryError} `bad_header` if there are more than {@linkcode MAX_RANGES}
   */
  finish(): Ranges {
    this.#write();
    return Ranges.decode(this.#bytes.subarray(0, this.#length), this.#fileSize, this.#unit);
  }

  #write(): void {
    if (this.#to === this.#from) return;
    if (this.#length + 2 * VARINT_BYTES > this.#bytes.length) {
      const longer = new Uint8Array(this.#bytes.length * 2);
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    this.#length = writeVarint(this.#bytes, this.#length, this.#from - this.#end);
    this.#length = writeVarint(this.#bytes, this.#length, this.#to - this.#from);
    this.#count++;
    this.#end = this.#to;
    this.#from = this.#to = 0;
  }
}

function bad(flaw: string): FerryError {
  return new FerryError("bad_header", `the ranges are not valid: ${flaw}`);
}
