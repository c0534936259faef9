/**
 * XXH3-128, a fast checksum that is not cryptographic: it does not protect against attackers.
 *
 * @module
 */

import type { IHasher } from "hash-wasm";
import { type Checksum, checksumOf } from "../core/checksum.ts";
import type { Digest } from "./digest.ts";

// Loaded on demand: loading takes longer than many a transfer, and most do not need XXH3-128.
const hashWasm = () => import("hash-wasm");

/**
 * Runs the WebAssembly of XXH3-128 for any number of digests. One instance serves all of them, to save memory: the
 * state of a digest is swapped out when another one is fed.
 */
export class Xxh128Engine {
  #hasher: Promise<IHasher> | undefined;
  /** The digest whose state is currently in the instance. */
  owner: Xxh128 | undefined;

  /** The instance, created by the first call. */
  get hasher(): Promise<IHasher> {
    return this.#hasher ??= hashWasm().then(({ createXXHash128 }) => createXXHash128());
  }
}

/** An XXH3-128 that is computed chunk by chunk. */
export class Xxh128 implements Digest {
  readonly #engine: Xxh128Engine;
  readonly #hasher: IHasher;
  /** The state while another digest is being fed; undefined before the first byte. */
  #state: Uint8Array | undefined;

  private constructor(engine: Xxh128Engine, hasher: IHasher, state?: Uint8Array) {
    this.#engine = engine;
    this.#hasher = hasher;
    this.#state = state;
  }

  /**
   * Creates a digest of zero bytes, or one that continues from a saved state.
   *
   * @throws if the state is not valid
   */
  static async create(engine: Xxh128Engine, state?: Uint8Array): Promise<Xxh128> {
    const created = new Xxh128(engine, await engine.hasher, state);
    created.#swapIn();
    return created;
  }

  /** Adds the next bytes. The caller may reuse the array when this returns. */
  update(bytes: Uint8Array): void {
    this.#swapIn().update(bytes);
  }

  /** The state, which {@linkcode Xxh128.create} takes. */
  save(): Uint8Array {
    return this.#swapIn().save();
  }

  /** The digest of all bytes in lower-case hexadecimal. Nothing may be added afterwards. */
  hex(): string {
    const hex = this.#swapIn().digest("hex");
    this.#engine.owner = undefined;
    return hex;
  }

  /** The checksum of all bytes. Nothing may be added afterwards. */
  checksum(): Checksum {
    return checksumOf("xxh128", this.hex());
  }

  #swapIn(): IHasher {
    const engine = this.#engine;
    if (engine.owner === this) return this.#hasher;
    if (engine.owner) engine.owner.#state = this.#hasher.save();
    if (this.#state) this.#hasher.load(this.#state);
    else this.#hasher.init();
    this.#state = undefined;
    engine.owner = this;
    return this.#hasher;
  }
}
