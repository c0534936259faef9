/**
 * The bytes of a request, with the checksums that the client sends of them.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { decodeBase64 } from "@std/encoding/base64";
import { sameBytes } from "../../../../lib/core/constant_time.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { RequestBody } from "../exchange/request_body.ts";

/** The algorithms, by the names that tus has for them, and the sizes of their digests. */
const DIGEST_BYTES = { sha1: 20, md5: 16, sha256: 32, sha384: 48, sha512: 64 } as const;

/** The names of the algorithms of {@linkcode CheckedBytes}. */
export const CHECKSUM_ALGORITHMS: readonly string[] = Object.keys(DIGEST_BYTES);

/** The bytes of a request have another checksum than the client says. */
export class WrongBytes extends FerryError {
  /** @param algorithm the algorithm of the checksum */
  constructor(algorithm: string) {
    super("checksum_mismatch", `the ${algorithm} of the bytes that came is another one`);
  }
}

/** The bytes of a request. The read at their end fails if they are not what the client has sent. */
export class CheckedBytes {
  /** How many they are; null if that is known only at the end. */
  readonly size: number | null;
  readonly #body: RequestBody;
  readonly #algorithm: string;
  readonly #digest: Uint8Array | undefined;
  /** The hash of the bytes so far; undefined without a checksum, and at the end. */
  #hash: Hash | undefined;

  /**
   * The bytes of a request, and the checksum in its field Upload-Checksum.
   *
   * @throws {FerryError} `bad_header` if the field is malformed or names another algorithm
   */
  constructor(exchange: Exchange) {
    this.#body = exchange.body;
    this.size = exchange.body.size;
    const [algorithm = "", encoded = "", ...more] =
      exchange.header("upload-checksum")?.split(" ") ?? [];
    this.#algorithm = algorithm;
    if (algorithm === "") return;
    if (!isKnown(algorithm)) {
      const known = CHECKSUM_ALGORITHMS.join(", ");
      throw new FerryError("bad_header", `checksums are taken of these algorithms: ${known}`);
    }
    this.#digest = digestIn(encoded);
    if (this.#digest?.length !== DIGEST_BYTES[algorithm] || more.length > 0) {
      throw new FerryError("bad_header", "the header field upload-checksum is malformed");
    }
    this.#hash = createHash(algorithm);
  }

  /** Whether there is a checksum, so that the bytes count only if all of them have come. */
  get allOrNone(): boolean {
    return this.#digest !== undefined;
  }

  /**
   * Reads at least one byte; returns 0 at the end.
   *
   * @throws {WrongBytes}
   * @throws {FerryError} as `RequestBody.read`
   */
  async read(into: Uint8Array): Promise<number> {
    const count = await this.#body.read(into);
    if (count > 0) this.#hash?.update(into.subarray(0, count));
    else this.#verify();
    return count;
  }

  #verify(): void {
    const hash = this.#hash;
    this.#hash = undefined;
    if (hash && !sameBytes(new Uint8Array(hash.digest()), this.#digest!)) {
      throw new WrongBytes(this.#algorithm);
    }
  }
}

function isKnown(algorithm: string): algorithm is keyof typeof DIGEST_BYTES {
  return Object.hasOwn(DIGEST_BYTES, algorithm);
}

function digestIn(encoded: string): Uint8Array | undefined {
  try {
    return decodeBase64(encoded);
  } catch {
    return undefined;
  }
}
