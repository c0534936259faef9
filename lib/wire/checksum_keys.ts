/**
 * The keys `md5` and `checksum` of headers and lines: the checksum algorithm of a file or a body, and its checksum if
 * known.
 *
 * @module
 */

import * as v from "valibot";
import { type Algorithm, algorithmOf, ALGORITHMS, type Checksum } from "../core/checksum.ts";
import { algorithmOrChecksum, hex128 } from "./schema.ts";

/** The keys of a header, or of a line, that name an algorithm and give a checksum. */
export function checksumKeys(
  algorithm: Algorithm,
  checksum: Checksum | null,
): Readonly<Record<string, string | null>> {
  // Peers that support only MD5 do not know the key `checksum`.
  return algorithm === "md5" ? { md5: checksum } : { checksum: checksum ?? algorithm };
}

/** The two keys as they are on the wire. */
export const checksumKeySchemas = {
  md5: v.nullish(hex128),
  checksum: v.optional(algorithmOrChecksum),
};

/** Reads what {@linkcode checksumKeys} wrote. If neither key is present, the algorithm is MD5. */
export function readChecksumKeys(
  { md5 = null, checksum }: {
    md5?: string | null | undefined;
    checksum?: string | undefined;
  },
): { algorithm: Algorithm; checksum: Checksum | null } {
  if (checksum === undefined) return { algorithm: "md5", checksum: md5 };
  const named = ALGORITHMS.find((known) => known === checksum);
  // The name of an algorithm means that the checksum is not known yet. A known MD5 has its own key.
  if (named) return { algorithm: named, checksum: named === "md5" ? md5 : null };
  return { algorithm: algorithmOf(checksum)!, checksum };
}
