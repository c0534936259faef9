/**
 * The proof that the bytes that a client has from an interrupted download are the beginning of the stored file.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import { digestPrefix } from "../../lib/digest/source_digest.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { StoredFile } from "../storage/storage.ts";

/** The beginning of a file that a client claims to have. */
export interface ClaimedPrefix {
  /** Its size in bytes. */
  size: number;
  /** The checksum of the whole file that it belongs to; null if the client does not know it. */
  ofChecksum: Checksum | null;
  /** Its MD5; null if only the XXH3-128 is given. */
  md5: string | null;
  /** Its XXH3-128, which is used if both are given. */
  xxh128: string | null;
}

/** The beginning of a file that need not be sent. */
export interface ProvenPrefix {
  /** Its size in bytes; 0 if nothing was proven. */
  size: number;
  /** Its digest, if it was computed for the proof. */
  digest?: Digest;
}

const NOTHING: ProvenPrefix = { size: 0 };

/**
 * Finds out how much of a client's prefix is proven to be the same as in this file. Reads the file only if necessary.
 */
export async function provenPrefix(
  runtime: Runtime,
  file: StoredFile,
  { algorithm, claimed }: { algorithm: Algorithm; claimed: ClaimedPrefix },
): Promise<ProvenPrefix> {
  const { entry } = file;
  const { size, ofChecksum, md5, xxh128 } = claimed;
  if (size === 0 || size > entry.size) return NOTHING;
  if (entry.checksum !== null && ofChecksum === entry.checksum) return { size };
  if (md5 === null && xxh128 === null) return NOTHING;
  const digest = await digestPrefix(runtime, file, { size, algorithm, proof: xxh128 !== null });
  const facts = await digest.facts();
  const same = xxh128 !== null ? facts.xxh128 === xxh128 : facts.md5 === md5;
  return same && facts.size === size ? { size, digest } : NOTHING;
}
