/**
 * Digests: of bytes in memory, of a stream piece by piece, and of a prefix that can be put away and taken
 * up again.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createMD5, createXXHash128, type IHasher } from "hash-wasm";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { decodeHex, encodeHex } from "@std/encoding/hex";

/** The md5 of no bytes (RFC 1321, appendix A.5). */
export const EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e";

/** The block that md5 works in (RFC 1321, section 3.4); a state between two blocks is 16 bytes. */
export const MD5_BLOCK_BYTES = 64;

/** A digest that is fed piece by piece. */
export interface Digest {
  /** Takes the next bytes; they may be overwritten as soon as this returns. */
  update(bytes: Uint8Array): void;
  /** The digest in lower-case hexadecimal. Nothing may be fed after that. */
  hex(): string;
}

/** An md5 of a stream, at the start of it. */
export async function createDigest(): Promise<Digest> {
  return wrap((await createMD5()).init());
}

/** The digest that proves a prefix: not against an attacker, but ten times as fast as md5. */
export async function createPrefixProof(): Promise<Digest> {
  return wrap((await createXXHash128()).init());
}

function wrap(hasher: IHasher): Digest {
  return { update: (bytes) => void hasher.update(bytes), hex: () => hasher.digest("hex") };
}

/** The md5 of bytes in memory, in lower-case hexadecimal. */
export function md5Of(bytes: Uint8Array): string {
  // One native call: for small inputs it is several times faster than setting up a stream.
  return bytes.length === 0 ? EMPTY_MD5 : createHash("md5").update(bytes).digest("hex");
}

/** Whether a text is an md5 as it stands on the wire: 32 lower-case hexadecimal digits. */
export function isMd5(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

const utf8 = new TextEncoder();

/** Whether two digests are the same, in a time that does not tell where they differ. */
export function sameDigest(a: string, b: string): boolean {
  const [left, right] = [utf8.encode(a), utf8.encode(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** What is known of the first bytes of a file that has not come whole: enough to go on behind them. */
export interface SavedPrefix {
  /** How many bytes, a multiple of {@linkcode MD5_BLOCK_BYTES}. */
  size: number;
  /** The states of both digests, as the library saves them, in hexadecimal. */
  md5: string;
  /** See `md5`. */
  xxh128: string;
}

/** What the holder of a prefix tells the other side of it. */
export interface PrefixFacts {
  /** How many bytes. */
  size: number;
  /** Their md5. */
  md5: string;
  /** Their XXH3-128, which is quicker to compare with. */
  xxh128: string;
  /** The four words of the md5 buffer behind them (RFC 1321, section 3.3) as 16 bytes in hexadecimal. */
  state: string;
}

/** The md5 of a file that may be cut off, and what proves how far it came. */
export class PrefixDigest implements Digest {
  readonly #md5: IHasher;
  readonly #xxh128: IHasher;
  #size: number;

  private constructor(md5: IHasher, xxh128: IHasher, size: number) {
    this.#md5 = md5;
    this.#xxh128 = xxh128;
    this.#size = size;
  }

  /** One at the start of a file, or behind a prefix that was saved. */
  static async create(saved?: SavedPrefix): Promise<PrefixDigest> {
    const [md5, xxh128] = [(await createMD5()).init(), (await createXXHash128()).init()];
    if (saved) {
      md5.load(decodeHex(saved.md5));
      xxh128.load(decodeHex(saved.xxh128));
    }
    return new PrefixDigest(md5, xxh128, saved?.size ?? 0);
  }

  /** How many bytes were fed, those of the saved prefix among them. */
  get size(): number {
    return this.#size;
  }

  /** Takes the next bytes. */
  update(bytes: Uint8Array): void {
    this.#md5.update(bytes);
    this.#xxh128.update(bytes);
    this.#size += bytes.length;
  }

  /** The md5 of all bytes. Nothing may be fed after that. */
  hex(): string {
    return this.#md5.digest("hex");
  }

  /** The state, or undefined in the middle of a block, where others could not take it up. */
  save(): SavedPrefix | undefined {
    if (this.#size % MD5_BLOCK_BYTES !== 0) return undefined;
    return {
      size: this.#size,
      md5: encodeHex(this.#md5.save()),
      xxh128: encodeHex(this.#xxh128.save()),
    };
  }
}

/** What a saved prefix says to the other side. */
export async function prefixFacts(saved: SavedPrefix): Promise<PrefixFacts> {
  const md5State = decodeHex(saved.md5);
  const [md5, xxh128] = [(await createMD5()).init(), (await createXXHash128()).init()];
  return {
    size: saved.size,
    md5: md5.load(md5State).digest("hex"),
    xxh128: xxh128.load(decodeHex(saved.xxh128)).digest("hex"),
    state: encodeHex(md5State.subarray(STATE_WORDS, STATE_WORDS + 16)),
  };
}

// hash-wasm saves four bytes that identify its build, the length in bytes (29 bits, then the rest), the
// four words of the buffer, and the block that is not full yet.
const STATE_LENGTH = 4;
const STATE_WORDS = 12;

/**
 * An md5 behind a prefix that someone else digested.
 *
 * @param state the four words of the md5 buffer, 32 hexadecimal digits
 * @param size how many bytes led to it, a multiple of {@linkcode MD5_BLOCK_BYTES}
 */
export async function resumeDigest(state: string, size: number): Promise<Digest> {
  const hasher = (await createMD5()).init();
  const saved = hasher.save();
  const view = new DataView(saved.buffer, saved.byteOffset);
  view.setUint32(STATE_LENGTH, size % 2 ** 29, true);
  view.setUint32(STATE_LENGTH + 4, Math.floor(size / 2 ** 29), true);
  saved.set(decodeHex(state), STATE_WORDS);
  return wrap(hasher.load(saved));
}
