/**
 * MD5 (RFC 1321), as fast as one core allows.
 *
 * @module
 */

import {
  BLOCK_BYTES,
  INPUT_BYTES,
  INPUT_OFFSET,
  type Md5Exports,
  md5Module,
} from "./md5_module.ts";

/** The offset of the total length in the last block. */
const LENGTH_AT = 56;

/** Each byte in hexadecimal. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const NO_BYTES = new Uint8Array(0);

/** The words A, B, C and D at the start (RFC 1321, section 3.3). */
const INITIAL = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);

/** An instance of the WebAssembly module. */
interface Instance {
  compress: Md5Exports["compress"];
  memory: Uint8Array;
  /** The state in its memory. WebAssembly is little-endian, and so is every machine that runs Deno. */
  state: Uint32Array;
}

/**
 * Runs the compression function for any number of digests. One instance with its memory serves all of them, since calls
 * are synchronous.
 */
export class Md5Engine {
  /** Created by the first call: many programs have nothing to digest. */
  #instance: Instance | undefined;

  /** Applies whole blocks to the words of a state. */
  compress(words: Uint32Array, blocks: Uint8Array): void {
    const { compress, memory, state } = this.#instance ??= startInstance();
    state.set(words);
    for (let from = 0; from < blocks.length; from += INPUT_BYTES) {
      const part = blocks.subarray(from, from + INPUT_BYTES);
      memory.set(part, INPUT_OFFSET);
      compress(INPUT_OFFSET, INPUT_OFFSET + part.length);
    }
    words.set(state);
  }
}

function startInstance(): Instance {
  const { exports } = new WebAssembly.Instance(md5Module());
  const { compress, memory: { buffer } } = exports as unknown as Md5Exports;
  return { compress, memory: new Uint8Array(buffer), state: new Uint32Array(buffer, 0, 4) };
}

/** An MD5 that is computed chunk by chunk. */
export class Md5 {
  readonly #engine: Md5Engine;
  readonly #words = new Uint32Array(INITIAL);
  /** The bytes of the last block, which is not full yet. */
  readonly #rest = new Uint8Array(BLOCK_BYTES);
  #size = 0;

  /** Creates an MD5 of zero bytes. */
  constructor(engine: Md5Engine) {
    this.#engine = engine;
  }

  /**
   * Creates an MD5 that continues after bytes that were digested elsewhere.
   *
   * @param state the words A, B, C and D after the last whole block, see {@linkcode Md5.state}
   * @param size the number of bytes digested so far
   * @param rest the bytes after the last whole block. Default: none
   * @throws {RangeError} if `rest` is not as long as `size` says
   */
  static resume(engine: Md5Engine, state: Uint8Array, size: number, rest = NO_BYTES): Md5 {
    if (rest.length !== size % BLOCK_BYTES) throw new RangeError("the rest has another length");
    const md5 = new Md5(engine);
    const view = new DataView(state.buffer, state.byteOffset, 16);
    for (let i = 0; i < 4; i++) md5.#words[i] = view.getUint32(i * 4, true);
    md5.#rest.set(rest);
    md5.#size = size;
    return md5;
  }

  /** Starts again with zero bytes. */
  reset(): void {
    this.#words.set(INITIAL);
    this.#size = 0;
  }

  /** A copy of the digest in its present state. */
  clone(): Md5 {
    const md5 = new Md5(this.#engine);
    md5.#words.set(this.#words);
    md5.#rest.set(this.#rest);
    md5.#size = this.#size;
    return md5;
  }

  /** The number of bytes digested so far. */
  get size(): number {
    return this.#size;
  }

  /** A copy of the words A, B, C and D. They are the complete state only between two blocks. */
  get words(): Uint32Array {
    return this.#words.slice();
  }

  /** A copy of the bytes after the last whole block. */
  get rest(): Uint8Array {
    return this.#rest.slice(0, this.#size % BLOCK_BYTES);
  }

  /** The words A, B, C and D as 16 bytes, least significant first; undefined in the middle of a block. */
  get state(): Uint8Array | undefined {
    return this.#size % BLOCK_BYTES === 0 ? bytesOfWords(this.#words) : undefined;
  }

  /** Adds the next bytes. The caller may reuse the array when this returns. */
  update(bytes: Uint8Array): void {
    const pending = this.#size % BLOCK_BYTES;
    this.#size += bytes.length;
    let from = 0;
    if (pending > 0) {
      from = Math.min(BLOCK_BYTES - pending, bytes.length);
      this.#rest.set(bytes.subarray(0, from), pending);
      if (pending + from < BLOCK_BYTES) return;
      this.#engine.compress(this.#words, this.#rest);
    }
    const whole = from + Math.floor((bytes.length - from) / BLOCK_BYTES) * BLOCK_BYTES;
    if (whole > from) this.#engine.compress(this.#words, bytes.subarray(from, whole));
    if (whole < bytes.length) this.#rest.set(bytes.subarray(whole));
  }

  /**
   * Continues after the next bytes, which were digested elsewhere.
   *
   * @param words the words A, B, C and D after them
   * @param count the number of these bytes, a multiple of {@linkcode BLOCK_BYTES}
   */
  advance(words: Uint32Array, count: number): void {
    this.#words.set(words);
    this.#size += count;
  }

  /** The digest of all bytes in lower-case hexadecimal. Nothing may be added afterwards. */
  hex(): string {
    const size = this.#size;
    const block = this.#rest;
    // Section 3.1: a one, zeros up to 8 bytes before the end of a block, and the length in bits.
    let end = size % BLOCK_BYTES;
    block[end++] = 0x80;
    if (end > LENGTH_AT) {
      this.#engine.compress(this.#words, block.fill(0, end));
      end = 0;
    }
    block.fill(0, end);
    const view = new DataView(block.buffer);
    view.setUint32(LENGTH_AT, (size % 2 ** 29) * 8, true);
    view.setUint32(LENGTH_AT + 4, Math.floor(size / 2 ** 29), true);
    this.#engine.compress(this.#words, block);
    let hex = "";
    for (const word of this.#words) {
      hex += HEX[word & 255]! + HEX[word >> 8 & 255]! + HEX[word >> 16 & 255]! + HEX[word >>> 24]!;
    }
    return hex;
  }
}

/** The words of a state as bytes, the least significant byte of each first. */
export function bytesOfWords(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setUint32(i * 4, word, true));
  return bytes;
}
