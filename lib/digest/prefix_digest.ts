/**
 * The digest of the first bytes of a file, whose state can be saved and resumed when a transfer was cut.
 *
 * @module
 */

import { decodeHex, encodeHex } from "@std/encoding/hex";
import type { Algorithm, Checksum } from "../core/checksum.ts";
import type { Digest } from "./digest.ts";
import { Digests } from "./digests.ts";
import { Md5 } from "./md5.ts";
import type { Md5Thread } from "./md5_thread.ts";
import { createSha256 } from "./sha256.ts";
import { ThreadedMd5 } from "./threaded_md5.ts";
import { Xxh128 } from "./xxh128.ts";

/** What is saved of the first bytes of a file: enough to go on behind them without reading them again. */
export interface SavedPrefix {
  /** How many bytes, a multiple of 64: between two blocks of md5. */
  size: number;
  /** The words A, B, C and D of md5 behind them (RFC 1321, section 3.3), 32 hexadecimal digits. */
  md5?: string | undefined;
  /** The state of their XXH3-128 as hash-wasm saves it, in hexadecimal. */
  xxh128?: string | undefined;
}

/** What the holder of a prefix tells the other side, as proof that both have the same bytes. */
export interface PrefixFacts {
  /** How many bytes. */
  size: number;
  /** Their XXH3-128, 32 hexadecimal digits; null where it is not computed. */
  xxh128: string | null;
  /** Their md5, 32 hexadecimal digits; null where it is not computed. */
  md5: string | null;
  /** The words A, B, C and D of md5 behind them, 32 hexadecimal digits; null where they are not known. */
  state: string | null;
}

/** Options of {@linkcode PrefixDigest.create}. */
export interface PrefixDigestOptions {
  /** What the file is checked with. */
  algorithm: Algorithm;
  /**
   * Whether XXH3-128 is computed as well. With it the other side can check many times as fast as with the other
   * algorithms that it has the same bytes.
   */
  proof: boolean;
}

/** The digests of which a {@linkcode PrefixDigest} is made. */
interface Parts {
  md5?: Md5;
  xxh128?: Xxh128;
  sha256?: Digest;
}

/** What became of a chunk that a thread has digested. */
export interface SavedChunk {
  /** The bytes, in the memory that they were in. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The state behind them, where it was asked for and can be saved. */
  saved?: SavedPrefix | undefined;
}

/** The digest of a file whose transfer may be cut, with what proves how far it came. */
export class PrefixDigest implements Digest {
  readonly #resumedAt: number;
  #fed = 0;
  readonly #algorithm: Algorithm;
  readonly #md5: Md5 | undefined;
  readonly #xxh128: Xxh128 | undefined;
  readonly #sha256: Digest | undefined;
  readonly #digests: Digests;
  #threaded: ThreadedMd5 | undefined;

  private constructor(
    resumedAt: number,
    algorithm: Algorithm,
    digests: Digests,
    { md5, xxh128, sha256 }: Parts,
  ) {
    this.#resumedAt = resumedAt;
    this.#algorithm = algorithm;
    this.#digests = digests;
    this.#md5 = md5;
    this.#xxh128 = xxh128;
    this.#sha256 = sha256;
  }

  /**
   * A digest at the start of a file.
   *
   * @param digests computes it. Default: its own
   */
  static async create(
    { algorithm, proof }: PrefixDigestOptions,
    digests: Digests = new Digests(),
  ): Promise<PrefixDigest> {
    // Some state has to be savable, and that of sha256 is not.
    const fast = proof || algorithm !== "md5";
    return new PrefixDigest(0, algorithm, digests, {
      ...(algorithm === "md5" ? { md5: new Md5(digests.md5Engine) } : {}),
      ...(fast ? { xxh128: await Xxh128.create(digests.xxh128Engine) } : {}),
      ...(algorithm === "sha256" ? { sha256: await createSha256() } : {}),
    });
  }

  /**
   * A digest that goes on behind a saved prefix; undefined where what was saved is not enough for the algorithm, so
   * that the bytes have to be read again.
   *
   * @param digests computes it. Default: its own
   * @throws where what was saved makes no sense
   */
  static async resume(
    { size, md5, xxh128 }: SavedPrefix,
    { algorithm, proof }: PrefixDigestOptions,
    digests: Digests = new Digests(),
  ): Promise<PrefixDigest | undefined> {
    if (algorithm === "sha256" || algorithm === "md5" && !md5) return undefined;
    if (!xxh128 && (proof || algorithm === "xxh128")) return undefined;
    const { md5Engine, xxh128Engine } = digests;
    return new PrefixDigest(size, algorithm, digests, {
      ...(algorithm === "md5" ? { md5: Md5.resume(md5Engine, decodeHex(md5!), size) } : {}),
      ...(xxh128 ? { xxh128: await Xxh128.create(xxh128Engine, decodeHex(xxh128)) } : {}),
    });
  }

  /** How many bytes were fed, those of the saved prefix included. */
  get size(): number {
    return this.#resumedAt + this.#fed;
  }

  /** Takes the next bytes; they may be overwritten as soon as this returns. */
  update(bytes: Uint8Array): void {
    this.#fed += bytes.length;
    this.#threaded = undefined;
    this.#md5?.update(bytes);
    this.#sha256?.update(bytes);
    this.#xxh128?.update(bytes);
  }

  /**
   * Whether the larger part of the work can be done by a thread.
   *
   * @ignore
   */
  get threadable(): boolean {
    return this.#md5 !== undefined;
  }

  /**
   * Takes the next bytes by way of a thread. Their memory belongs to the thread until this resolves; until then
   * nothing may be asked of the digest but to take more by the same thread.
   *
   * @param options.save whether the state behind the bytes is wanted
   * @throws where the thread has ended; the bytes are lost
   * @ignore
   */
  async updateOn(
    thread: Md5Thread,
    chunk: Uint8Array<ArrayBuffer>,
    { save }: { save: boolean },
  ): Promise<SavedChunk> {
    this.#fed += chunk.length;
    this.#xxh128?.update(chunk);
    const { size } = this;
    const xxh128 = save ? this.#xxh128?.save() : undefined;
    const md5 = this.#threaded ??= new ThreadedMd5(this.#md5!, thread);
    const { bytes, state } = await md5.update(chunk);
    return { bytes, saved: save && state ? savedPrefix(size, { state, xxh128 }) : undefined };
  }

  /** The checksum of all bytes. Nothing may be fed after that. */
  checksum(): Checksum {
    if (this.#md5) return this.#md5.hex();
    return this.#sha256?.checksum() ?? this.#xxh128!.checksum();
  }

  /** The state, or undefined inside a block of md5, where it cannot be resumed. */
  save(): SavedPrefix | undefined {
    const { size } = this;
    if (size % 64 !== 0) return undefined;
    return savedPrefix(size, { state: this.#md5?.state, xxh128: this.#xxh128?.save() });
  }

  /** What can be told of the bytes so far. More may be fed after that. */
  async facts(): Promise<PrefixFacts> {
    const { size } = this;
    const state = this.#md5?.state;
    const { xxh128Engine } = this.#digests;
    const proof = this.#xxh128 && await Xxh128.create(xxh128Engine, this.#xxh128.save());
    return {
      size,
      xxh128: proof?.hex() ?? null,
      md5: this.#md5?.clone().hex() ?? null,
      state: state ? encodeHex(state) : null,
    };
  }

  /** Whether the bytes so far are those of a saved prefix, as far as both sides computed the same of them. */
  matches(saved: SavedPrefix): boolean {
    const own = this.save();
    if (own?.size !== saved.size) return false;
    const pairs = [[own.md5, saved.md5], [own.xxh128, saved.xxh128]].filter(([a, b]) => a && b);
    return pairs.length > 0 && pairs.every(([a, b]) => a === b);
  }
}

function savedPrefix(
  size: number,
  { state, xxh128 }: { state: Uint8Array | undefined; xxh128: Uint8Array | undefined },
): SavedPrefix {
  return { size, md5: state && encodeHex(state), xxh128: xxh128 && encodeHex(xxh128) };
}
