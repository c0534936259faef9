/**
 * Checksums: of bytes in memory, of a stream piece by piece, and of a prefix that can be put away and taken
 * up again.
 *
 * @module
 */

import { type Algorithm, type Checksum, checksumOf } from "../core/checksum.ts";
import type { IHasher } from "hash-wasm";
import { decodeHex, encodeHex } from "@std/encoding/hex";
import { Md5 } from "./md5.ts";
import type { Md5Thread } from "./md5_worker.ts";

// Loading these takes longer than many a transfer, and most need neither.
const hashWasm = () => import("hash-wasm");
const nodeCrypto = () => import("node:crypto");

/** A checksum that is computed piece by piece. */
export interface Digest {
  /** Takes the next bytes; they may be overwritten as soon as this returns. */
  update(bytes: Uint8Array): void;
  /** The checksum of all bytes. Nothing may be fed after that. */
  checksum(): Checksum;
}

/**
 * Has a thread take the next bytes. Until this resolves they are out of reach, and nothing may be asked of the
 * digest but to take more by the same thread.
 *
 * @param options whether the state behind them is wanted
 * @throws where the thread has ended; the bytes are lost
 */
export type FeedByThread = (
  thread: Md5Thread,
  bytes: Uint8Array<ArrayBuffer>,
  options: { save: boolean },
) => Promise<{
  /** The bytes, in the memory that they were in. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The state behind them, where it can be put away. */
  saved?: SavedPrefix | undefined;
}>;

/** How threads feed digests. It stands beside them, since it is nothing for users of the library. */
const feeds = new WeakMap<Digest, FeedByThread>();

/** How a digest is fed by threads; undefined where it cannot be. */
export function feedByThread(digest: Digest): FeedByThread | undefined {
  return feeds.get(digest);
}

/** The digest of a stream, at the start of it. */
export async function createDigest(algorithm: Algorithm): Promise<Digest> {
  switch (algorithm) {
    case "md5":
      return digestOf(new Md5());
    case "sha256":
      return await createSha256();
    case "xxh128":
      return await Xxh128.create();
  }
}

function digestOf(md5: Md5): Digest {
  return { update: (bytes) => md5.update(bytes), checksum: () => md5.hex() };
}

/** Of the ways to compute it, OpenSSL's is several times as fast; its state cannot be put away. */
async function createSha256(): Promise<Digest> {
  const { createHash } = await nodeCrypto();
  const hash = createHash("sha256");
  return {
    update: (bytes) => void hash.update(bytes),
    checksum: () => checksumOf("sha256", hash.digest("hex")),
  };
}

/** Makes the WebAssembly that computes XXH3-128: one for all, since each has memory of its own. */
const xxh128: { hasher?: Promise<IHasher>; owner?: Xxh128 | undefined } = {};

/** XXH3-128, fed piece by piece. */
class Xxh128 implements Digest {
  readonly #hasher: IHasher;
  /** Its state while another one is being fed; undefined before the first byte. */
  #state: Uint8Array | undefined;

  private constructor(hasher: IHasher, state?: Uint8Array) {
    this.#hasher = hasher;
    this.#state = state;
  }

  /**
   * One at the start, or behind what was saved.
   *
   * @throws where what was saved makes no sense
   */
  static async create(state?: Uint8Array): Promise<Xxh128> {
    xxh128.hasher ??= hashWasm().then(({ createXXHash128 }) => createXXHash128());
    const created = new Xxh128(await xxh128.hasher, state);
    created.#own();
    return created;
  }

  update(bytes: Uint8Array): void {
    this.#own().update(bytes);
  }

  /** The state, which {@linkcode Xxh128.create} takes. */
  snapshot(): Uint8Array {
    return this.#own().save();
  }

  hex(): string {
    const hex = this.#own().digest("hex");
    xxh128.owner = undefined;
    return hex;
  }

  checksum(): Checksum {
    return checksumOf("xxh128", this.hex());
  }

  #own(): IHasher {
    if (xxh128.owner === this) return this.#hasher;
    if (xxh128.owner) xxh128.owner.#state = this.#hasher.save();
    if (this.#state) this.#hasher.load(this.#state);
    else this.#hasher.init();
    this.#state = undefined;
    xxh128.owner = this;
    return this.#hasher;
  }
}

/** The md5 of bytes in memory, in lower-case hexadecimal. */
export function md5Of(bytes: Uint8Array): string {
  return Md5.of(bytes);
}

/** The checksum of bytes in memory. */
export async function checksumOfBytes(algorithm: Algorithm, bytes: Uint8Array): Promise<Checksum> {
  if (algorithm === "md5") return md5Of(bytes);
  if (algorithm === "xxh128") {
    const { xxhash128 } = await hashWasm();
    return checksumOf(algorithm, await xxhash128(bytes));
  }
  const digest = await createSha256();
  digest.update(bytes);
  return digest.checksum();
}

/** What is known of the first bytes of a file that has not come whole: enough to go on behind them. */
export interface SavedPrefix {
  /** How many bytes, a multiple of 64: between two blocks of md5. */
  size: number;
  /** The words A, B, C and D of md5 behind them (RFC 1321, section 3.3), 32 hexadecimal digits. */
  md5?: string | undefined;
  /** The state of their XXH3-128 as its library saves it, in hexadecimal. */
  xxh128?: string | undefined;
}

/** What the holder of a prefix tells the other side of it. */
export interface PrefixFacts {
  /** How many bytes. */
  size: number;
  /** Their XXH3-128, 32 hexadecimal digits, where it is computed. */
  xxh128: string | null;
  /** Their md5, where it is computed. */
  md5: string | null;
  /** The words A, B, C and D of md5 behind them, 32 hexadecimal digits, where it is computed. */
  state: string | null;
}

/** Options of {@linkcode PrefixDigest.create}. */
export interface PrefixDigestOptions {
  /** What the file is checked with. */
  algorithm: Algorithm;
  /**
   * Whether XXH3-128 is computed as well, with which the other side sees many times as fast as with the others
   * that it has the same bytes.
   */
  proof: boolean;
}

/** The digest of a file that may be cut off, with what proves how far it came. */
export class PrefixDigest implements Digest {
  readonly #size: number;
  #fed = 0;
  readonly #algorithm: Algorithm;
  readonly #md5: Md5 | undefined;
  readonly #xxh128: Xxh128 | undefined;
  readonly #sha256: Digest | undefined;

  private constructor(
    size: number,
    algorithm: Algorithm,
    { md5, xxh128, sha256 }: { md5?: Md5; xxh128?: Xxh128; sha256?: Digest },
  ) {
    this.#size = size;
    this.#algorithm = algorithm;
    this.#md5 = md5;
    this.#xxh128 = xxh128;
    this.#sha256 = sha256;
    if (md5) feeds.set(this, (...args) => this.#feed(md5, args));
  }

  /** One at the start of a file. */
  static async create({ algorithm, proof }: PrefixDigestOptions): Promise<PrefixDigest> {
    // There must be something that can be put away, and sha256 cannot.
    const fast = proof || algorithm !== "md5";
    return new PrefixDigest(0, algorithm, {
      ...(algorithm === "md5" ? { md5: new Md5() } : {}),
      ...(fast ? { xxh128: await Xxh128.create() } : {}),
      ...(algorithm === "sha256" ? { sha256: await createSha256() } : {}),
    });
  }

  /**
   * One behind a prefix that was saved; undefined where what was saved is not enough for the algorithm, so that
   * the bytes have to be read again.
   *
   * @throws where what was saved makes no sense
   */
  static async resume(
    { size, md5, xxh128 }: SavedPrefix,
    { algorithm, proof }: PrefixDigestOptions,
  ): Promise<PrefixDigest | undefined> {
    if (algorithm === "sha256" || algorithm === "md5" && !md5) return undefined;
    if (!xxh128 && (proof || algorithm === "xxh128")) return undefined;
    return new PrefixDigest(size, algorithm, {
      ...(algorithm === "md5" ? { md5: Md5.resume(decodeHex(md5!), size) } : {}),
      ...(xxh128 ? { xxh128: await Xxh128.create(decodeHex(xxh128)) } : {}),
    });
  }

  /** How many bytes were fed, those of the saved prefix among them. */
  get size(): number {
    return this.#size + this.#fed;
  }

  /** Takes the next bytes. */
  update(bytes: Uint8Array): void {
    this.#fed += bytes.length;
    this.#md5?.update(bytes);
    this.#sha256?.update(bytes);
    this.#xxh128?.update(bytes);
  }

  async #feed(
    md5: Md5,
    [thread, bytes, { save }]: Parameters<FeedByThread>,
  ): ReturnType<FeedByThread> {
    this.#fed += bytes.length;
    this.#xxh128?.update(bytes);
    const { size } = this;
    const xxh128 = save ? this.#xxh128?.snapshot() : undefined;
    const handled = await md5.updateOn(thread, bytes);
    const { state } = handled;
    const saved = save && state ? savedPrefix(size, { state, xxh128 }) : undefined;
    return { bytes: handled.bytes, saved };
  }

  /** The checksum of all bytes. Nothing may be fed after that. */
  checksum(): Checksum {
    if (this.#md5) return this.#md5.hex();
    return this.#sha256?.checksum() ?? this.#xxh128!.checksum();
  }

  /** The state, or undefined in the middle of a block, where others could not take it up. */
  save(): SavedPrefix | undefined {
    const { size } = this;
    if (size % 64 !== 0) return undefined;
    return savedPrefix(size, { state: this.#md5?.state, xxh128: this.#xxh128?.snapshot() });
  }

  /** What can be said of the bytes so far; more may be fed after that. */
  async facts(): Promise<PrefixFacts> {
    const { size } = this;
    const state = this.#md5?.state;
    const proof = this.#xxh128 && await Xxh128.create(this.#xxh128.snapshot());
    return {
      size,
      xxh128: proof?.hex() ?? null,
      md5: this.#md5?.clone().hex() ?? null,
      state: state ? encodeHex(state) : null,
    };
  }

  /** Whether the bytes so far are those that a prefix was saved of, as far as both know of them. */
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

/**
 * An md5 behind a prefix that someone else digested.
 *
 * @param state the words A, B, C and D, 32 hexadecimal digits
 * @param size how many bytes led to it, a multiple of 64
 */
export function resumeMd5(state: string, size: number): Digest {
  return digestOf(Md5.resume(decodeHex(state), size));
}
