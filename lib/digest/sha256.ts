/**
 * SHA-256 (FIPS 180-4) by OpenSSL, which is several times as fast as the alternatives. Its state cannot be saved.
 *
 * @module
 */

import { checksumOf } from "../core/checksum.ts";
import type { Digest } from "./digest.ts";

// Loaded on demand: loading takes longer than many a transfer, and most do not need SHA-256.
const nodeCrypto = () => import("node:crypto");

/** Creates a SHA-256 of zero bytes. */
export async function createSha256(): Promise<Digest> {
  const { createHash } = await nodeCrypto();
  const hash = createHash("sha256");
  return {
    update: (bytes) => void hash.update(bytes),
    checksum: () => checksumOf("sha256", hash.digest("hex")),
  };
}
