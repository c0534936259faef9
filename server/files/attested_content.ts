/**
 * Content whose sender attests it by digests of its choice: any number of them, or none.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { encodeHex } from "@std/encoding/hex";
import type { IncomingContent } from "../../lib/core/bytes.ts";
import { type Algorithm, type Checksum, checksumOf } from "../../lib/core/checksum.ts";
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
 * Content of more bytes than this, which its sender attests by SHA-256 and not by MD5, is digested by that alone: an MD5
 * takes three times as long.
 */
const LARGE_BYTES = 64 * 1024 * 1024;

/** Options of {@linkcode AttestedContent}. */
export interface AttestedContentOptions {
  /** What the sender says of the content. Default: nothing. */
  attestations?: readonly Attestation[] | undefined;
  /** Whether the MD5 is needed in any case. Default: false, it may be left out for large content. */
  needsMd5?: boolean | undefined;
}

/**
 * Content that is verified by all the digests that its sender gives, in addition to its length. The last read fails with
 * `checksum_mismatch` if one of them is wrong.
 */
export class AttestedContent implements IncomingContent {
  readonly #bytes: IncomingBytes;
  readonly #pending: { hash: Hash; algorithm: AttestingAlgorithm; digest: Uint8Array }[];
  /** The algorithm of the checksum with which the content is stored. */
  readonly algorithm: Algorithm;
  readonly checksum: Checksum | null;
  readonly unattested: boolean;
  #received = 0;

  /** The content that consists of these bytes. */
  constructor(
    bytes: IncomingBytes,
    { attestations = [], needsMd5 = false }: AttestedContentOptions = {},
  ) {
    this.#bytes = bytes;
    const attested = (by: AttestingAlgorithm) =>
      attestations.find(({ algorithm }) => algorithm === by);
    const isLarge = bytes.size !== null && bytes.size > LARGE_BYTES;
    const own = attested("md5") ?? (isLarge && !needsMd5 ? attested("sha-256") : undefined);
    this.algorithm = own?.algorithm === "sha-256" ? "sha256" : "md5";
    this.checksum = own ? checksumOf(this.algorithm, encodeHex(own.digest)) : null;
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
