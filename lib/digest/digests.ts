/**
 * Creates digests, and owns what they share: the WebAssembly instances and the threads.
 *
 * @module
 */

import { decodeHex } from "@std/encoding/hex";
import type { Algorithm, Checksum } from "../core/checksum.ts";
import type { Digest } from "./digest.ts";
import { Md5, Md5Engine } from "./md5.ts";
import { Md5Threads } from "./md5_thread.ts";
import { createSha256 } from "./sha256.ts";
import { Xxh128, Xxh128Engine } from "./xxh128.ts";

/** Creates digests. Nothing is started before it is needed. */
export class Digests {
  /** Computes MD5. */
  readonly md5Engine: Md5Engine = new Md5Engine();
  /** Computes XXH3-128. */
  readonly xxh128Engine: Xxh128Engine = new Xxh128Engine();
  /** The threads that compute MD5 in parallel to the main thread. */
  readonly threads: Md5Threads;
  /** A reused digest for small files: creating a state for each would take longer than digesting it. */
  #whole: Md5 | undefined;

  /** @param threads Default: at most one for each other processor. */
  constructor(threads: Md5Threads = new Md5Threads()) {
    this.threads = threads;
  }

  /** Creates a digest for a stream, at its start. */
  async create(algorithm: Algorithm): Promise<Digest> {
    switch (algorithm) {
      case "md5":
        return digestOf(new Md5(this.md5Engine));
      case "sha256":
        return await createSha256();
      case "xxh128":
        return await Xxh128.create(this.xxh128Engine);
    }
  }

  /** The checksum of bytes in memory. */
  async checksumOf(algorithm: Algorithm, bytes: Uint8Array): Promise<Checksum> {
    if (algorithm === "md5") return this.md5Of(bytes);
    const digest = await this.create(algorithm);
    digest.update(bytes);
    return digest.checksum();
  }

  /** The MD5 of bytes in memory, in lower-case hexadecimal. */
  md5Of(bytes: Uint8Array): string {
    const md5 = this.#whole ??= new Md5(this.md5Engine);
    md5.reset();
    md5.update(bytes);
    return md5.hex();
  }

  /**
   * Creates an MD5 that continues after bytes that were digested elsewhere.
   *
   * @param state the words A, B, C and D after them, 32 hexadecimal digits
   * @param size the number of these bytes, a multiple of 64
   * @throws if the state is not valid
   */
  resumeMd5(state: string, size: number): Digest {
    return digestOf(Md5.resume(this.md5Engine, decodeHex(state), size));
  }
}

function digestOf(md5: Md5): Digest {
  return { update: (bytes) => md5.update(bytes), checksum: () => md5.hex() };
}
