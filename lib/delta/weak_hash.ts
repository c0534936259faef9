/**
 * The weak hash of a block, by which it is found at any offset of another file: the upper 32 bits of the rolling hash of
 * `rolling_module.ts`.
 *
 * @module
 */

import { type RollingExports, startRolling, STATE, STATE_BYTES } from "./rolling_module.ts";

/** The most bytes that are hashed in one call, in bytes: few enough to stay in the processor's cache. */
const PIECE_BYTES = 64 * 1024 - STATE_BYTES;

/** Computes weak hashes of blocks, one after the other. */
export class WeakHash {
  readonly #exports: RollingExports;
  readonly #bytes: Uint8Array;
  readonly #state: DataView;
  #weak = 0;

  /** Creates a hash with memory of its own. */
  constructor() {
    const memory = new WebAssembly.Memory({ initial: 1 });
    this.#exports = startRolling(memory);
    this.#bytes = new Uint8Array(memory.buffer, STATE_BYTES);
    this.#state = new DataView(memory.buffer);
  }

  /** Adds bytes of a block. */
  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      this.#bytes.set(piece);
      this.#weak = this.#exports.hash(STATE_BYTES, STATE_BYTES + piece.length);
    }
  }

  /** The hash of the block, 32 bits without a sign. The next bytes begin another block. */
  end(): number {
    this.#state.setBigUint64(STATE.hash, 0n, true);
    return this.#weak >>> 0;
  }
}
