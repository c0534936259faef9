/**
 * The digest of the first bytes of a file. Its state can be saved, and resumed after a transfer was interrupted.
 *
 * @module
 */

import { decodeHex, encodeHex } from "@std/encoding/hex";
import type { Algorithm, Checksum } from "../core/checksum.ts";
import type { Digest } from "./digest.ts";
import { Digests } from "./digests.ts";
import { bytesOfWords, Md5 } from "./md5.ts";
import type { Md5Thread } from "./md5_thread.ts";
import { createSha256 } from "./sha256.ts";
import { ThreadedMd5 } from "./threaded_md5.ts";
import { Xxh128 } from "./xxh128.ts";

/** The saved digest state of the first bytes of a file: enough to continue after them without reading them again. */
export interface SavedPrefix {
  /** The number of bytes. */
  size: number;
  /** The MD5 words A, B, C and D after the last whole block (RFC 1321, section 3.3), 32 hexadecimal digits. */
  md5?: string | undefined;
  /** The bytes after the last whole block of 64, in hexadecimal. Default: undefined, `size` is a multiple of 64. */
  rest?: string | undefined;
  /** The state of their XXH3-128 as hash-wasm saves it, in hexadecimal. */
  xxh128?: string | undefined;
}

/** What one side tells the other about a prefix, to prove that both have the same bytes. */
export interface PrefixFacts {
  /** The number of bytes. */
  size: number;
  /** Their XXH3-128, 32 hexadecimal digits; null if it was not computed. */
  xxh128: string | null;
  /** Their MD5, 32 hexadecimal digits; null if it was not computed. */
  md5: string | null;
  /** The MD5 words A, B, C and D after them, 32 hexadecimal digits; null if not known. */
  state: string | null;
}

/** Options of {@linkcode PrefixDigest.create}. */
export interface PrefixDigestOptions {
  /** The checksum algorithm of the file. */
  algorithm: Algorithm;
  /**
   * Whether XXH3-128 is computed as well. With it the other side can verify many times faster than with the other
   * algorithms that it has the same bytes.
   */
  proof: boolean;
}

/** The digests that a {@linkcode PrefixDigest} consists of. */
interface Parts {
  md5?: Md5;
  xxh128?: Xxh128;
  sha256?: Digest;
}

/** The result of digesting a chunk. */
export interface SavedChunk {
  /** The bytes, in their original memory. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The state after them, if it was requested and can be saved. */
  saved?: SavedPrefix | undefined;
}

/** The digest of a file whose transfer may be interrupted, with the digests that prove how much was transferred. */
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
   * Creates a digest at the start of a file.
   *
   * @param digests creates the digests. Default: its own
   */
  static async create(
    { algorithm, proof }: PrefixDigestOptions,
    digests: Digests = new Digests(),
  ): Promise<PrefixDigest> {
    // At least one digest needs a state that can be saved, and that of SHA-256 cannot.
    const fast = proof || algorithm !== "md5";
    return new PrefixDigest(0, algorithm, digests, {
      ...(algorithm === "md5" ? { md5: new Md5(digests.md5Engine) } : {}),
      ...(fast ? { xxh128: await Xxh128.create(digests.xxh128Engine) } : {}),
      ...(algorithm === "sha256" ? { sha256: await createSha256() } : {}),
    });
  }

  /**
   * Creates a digest that continues after a saved prefix; undefined if the saved state does not suffice for the
   * algorithm, so that the bytes have to be read again.
   *
   * @param digests creates the digests. Default: its own
   * @throws if the saved state is not valid
   */
  static async resume(
    { size, md5, rest = "", xxh128 }: SavedPrefix,
    { algorithm, proof }: PrefixDigestOptions,
    digests: Digests = new Digests(),
  ): Promise<PrefixDigest | undefined> {
    if (algorithm === "sha256" || algorithm === "md5" && !md5) return undefined;
    if (!xxh128 && (proof || algorithm === "xxh128")) return undefined;
    const { md5Engine, xxh128Engine } = digests;
    const resumed = () => Md5.resume(md5Engine, decodeHex(md5!), size, decodeHex(rest));
    return new PrefixDigest(size, algorithm, digests, {
      ...(algorithm === "md5" ? { md5: resumed() } : {}),
      ...(xxh128 ? { xxh128: await Xxh128.create(xxh128Engine, decodeHex(xxh128)) } : {}),
    });
  }

  /** The number of bytes digested so far, including those of the saved prefix. */
  get size(): number {
    return this.#resumedAt + this.#fed;
  }

  /** Adds the next bytes. The caller may reuse the array when this returns. */
  update(bytes: Uint8Array): void {
    this.#fed += bytes.length;
    this.#threaded = undefined;
    this.#md5?.update(bytes);
    this.#sha256?.update(bytes);
    this.#xxh128?.update(bytes);
  }

  /**
   * Whether most of the work can be done by another thread.
   *
   * @ignore
   */
  get threadable(): boolean {
    return this.#md5 !== undefined;
  }

  /**
   * Adds the next bytes on another thread. Their memory belongs to the thread until this resolves. Until then the
   * digest may only be used to add more bytes on the same thread.
   *
   * @param options.save whether to return the state after the bytes
   * @throws if the thread has ended; the bytes are lost
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

  /** The checksum of all bytes. Nothing may be added afterwards. */
  checksum(): Checksum {
    if (this.#md5) return this.#md5.hex();
    return this.#sha256?.checksum() ?? this.#xxh128!.checksum();
  }

  /** The state; undefined in the middle of a block of MD5. */
  save(): SavedPrefix | undefined {
    return this.size % 64 === 0 ? this.saveExactly() : undefined;
  }

  /** The state, wherever the bytes end. */
  saveExactly(): SavedPrefix {
    const { size } = this;
    const md5 = this.#md5;
    const rest = md5?.rest;
    const saved = savedPrefix(size, {
      state: md5 && bytesOfWords(md5.words),
      xxh128: this.#xxh128?.save(),
    });
    return rest && rest.length > 0 ? { ...saved, rest: encodeHex(rest) } : saved;
  }

  /** The facts about the bytes so far. More may be added afterwards. */
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

  /** Whether the bytes so far equal those of a saved prefix, judged by the digests that both have. */
  matches(saved: SavedPrefix): boolean {
    const own = this.saveExactly();
    if (own.size !== saved.size || own.md5 && saved.md5 && own.rest !== saved.rest) return false;
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
