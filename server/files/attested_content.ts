/**
 * Content whose sender attests it by digests of its choice: any number of them, or none.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { encodeHex } from "@std/encoding/hex";
import type { IncomingContent } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { sameBytes } from "../../lib/core/constant_time.ts";
import { FerryError } from "../../lib/core/errors.ts";

/** The algorithms by which content can be attested, by the names that HTTP has for them, and the sizes of their digests. */
export const ATTESTING = { "md5": 16, "sha": 20, "sha-256": 32, "sha-512": 64 } as const;

/** The name of an algorithm by which content can be attested. */
export type AttestingAlgorithm = keyof typeof ATTESTING;

/** The digest that a sender gives of its content. */
export interface Attestation {
  readonly algorithm: AttestingAlgorithm;
  readonly digest: Uint8Array;
}

/** The bytes of an {@linkcode AttestedContent}, as {@linkcode IncomingContent} describes them. */
export type IncomingBytes = Pick<IncomingContent, "size" | "read">;

const HASHES = { "md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512" } as const;

/**
 * Content that is verified by all the digests that its sender gives, in addition to its length. The last read fails with
 * `checksum_mismatch` if one of them is wrong. The checksum of the stored file is its MD5.
 */
export class AttestedContent implements IncomingContent {
  readonly #bytes: IncomingBytes;
  readonly #pending: { hash: Hash; algorithm: AttestingAlgorithm; digest: Uint8Array }[];
  readonly algorithm: Algorithm = "md5";
  readonly checksum: Checksum | null;
  readonly unattested: boolean;
  #received = 0;

  /** @param attestations may be empty */
  constructor(bytes: IncomingBytes, attestations: readonly Attestation[]) {
    this.#bytes = bytes;
    const own = attestations.find(({ algorithm }) => algorithm === "md5");
    this.checksum = own ? encodeHex(own.digest) : null;
    this.unattested = own === undefined;
    this.#pending = attestations.filter((attestation) => attestation !== own)
      .map(({ algorithm, digest }) => ({ hash: createHash(HASHES[algorithm]), algorithm, digest }));
  }

  /** The size in bytes; null if it is known only at the end. */
  get size(): number | bigint | null {
    return this.#bytes.size;
  }

  async read(into: Uint8Array): Promise<number> {
    const count = await this.#bytes.read(into);
    this.#received += count;
    for (const { hash } of this.#pending) if (count > 0) hash.update(into.subarray(0, count));
    if (count === 0) this.#verify();
    return count;
  }

  #verify(): void {
    for (const { hash, algorithm, digest } of this.#pending.splice(0)) {
      const came = new Uint8Array(hash.digest());
      if (sameBytes(came, digest)) continue;
      const what = `the ${algorithm} of the ${this.#received} bytes that came is`;
      const text = `${what} ${encodeHex(came)}, the sender says ${encodeHex(digest)}`;
      throw new FerryError("checksum_mismatch", text);
    }
  }
}
