/**
 * Digests: of bytes in memory, of a stream piece by piece, and of a prefix that can be put away and taken
 * up again.
 *
 * @module
 */

import { createXXHash128, type IHasher } from "hash-wasm";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { decodeHex, encodeHex } from "@std/encoding/hex";
import { Md5 } from "./md5.ts";

/** The md5 of no bytes (RFC 1321, appendix A.5). */
export const EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e";

/** A digest that is fed piece by piece. */
export interface Digest {
  /** Takes the next bytes; they may be overwritten as soon as this returns. */
  update(bytes: Uint8Array): void;
  /** The digest in lower-case hexadecimal. Nothing may be fed after that. */
  hex(): string;
}

/** An md5 of a stream, at the start of it. */
export function createDigest(): Digest {
  return new Md5();
}

/** The digest that proves a prefix: not against an attacker, but many times as fast as md5. */
export async function createPrefixProof(): Promise<Digest> {
  const hasher = (await createXXHash128()).init();
  return { update: (bytes) => void hasher.update(bytes), hex: () => hasher.digest("hex") };
}

/** The md5 of bytes in memory, in lower-case hexadecimal. */
export function md5Of(bytes: Uint8Array): string {
  const md5 = new Md5();
  md5.update(bytes);
  return md5.hex();
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
  /** How many bytes, a multiple of 64: between two blocks of md5. */
  size: number;
  /** The words A, B, C and D of md5 behind them (RFC 1321, section 3.3), 32 hexadecimal digits. */
  md5: string;
  /** The state of their XXH3-128 as its library saves it, in hexadecimal. */
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
  /** The words A, B, C and D of md5 behind them, 32 hexadecimal digits. */
  state: string;
}

/** The md5 of a file that may be cut off, and what proves how far it came. */
export class PrefixDigest implements Digest {
  readonly #md5: Md5;
  readonly #xxh128: IHasher;

  private constructor(md5: Md5, xxh128: IHasher) {
    this.#md5 = md5;
    this.#xxh128 = xxh128;
  }

  /** One at the start of a file, or behind a prefix that was saved. */
  static async create(saved?: SavedPrefix): Promise<PrefixDigest> {
    const xxh128 = (await createXXHash128()).init();
    if (!saved) return new PrefixDigest(new Md5(), xxh128);
    xxh128.load(decodeHex(saved.xxh128));
    return new PrefixDigest(Md5.resume(decodeHex(saved.md5), saved.size), xxh128);
  }

  /** How many bytes were fed, those of the saved prefix among them. */
  get size(): number {
    return this.#md5.size;
  }

  /** Takes the next bytes. */
  update(bytes: Uint8Array): void {
    this.#md5.update(bytes);
    this.#xxh128.update(bytes);
  }

  /** The md5 of all bytes. Nothing may be fed after that. */
  hex(): string {
    return this.#md5.hex();
  }

  /** The state, or undefined in the middle of a block, where others could not take it up. */
  save(): SavedPrefix | undefined {
    const { state, size } = this.#md5;
    return state && { size, md5: encodeHex(state), xxh128: encodeHex(this.#xxh128.save()) };
  }
}

/** What a saved prefix says to the other side. */
export async function prefixFacts({ size, md5, xxh128 }: SavedPrefix): Promise<PrefixFacts> {
  const proof = (await createXXHash128()).init().load(decodeHex(xxh128));
  return { size, md5: resumeDigest(md5, size).hex(), xxh128: proof.digest("hex"), state: md5 };
}

/**
 * An md5 behind a prefix that someone else digested.
 *
 * @param state the words A, B, C and D, 32 hexadecimal digits
 * @param size how many bytes led to it, a multiple of 64
 */
export function resumeDigest(state: string, size: number): Digest {
  return Md5.resume(decodeHex(state), size);
}
