/**
 * Digests in the header of a response: which ones a client wants (Want-Repr-Digest of RFC 9530 and Want-Digest of
 * RFC 3230), and the fields Repr-Digest and Digest, which tell them.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../../../lib/core/checksum.ts";
import { digestField, malformedWishes, reprDigestWishes } from "../exchange/digest_fields.ts";

/** The algorithms of ferry that HTTP has a name for, in lower case. */
const NAMES: Readonly<Partial<Record<Algorithm, string>>> = { sha256: "sha-256", md5: "md5" };

/** The algorithms whose checksums are sent if they are known. */
export const SENT: readonly Algorithm[] = Object.keys(NAMES) as Algorithm[];

/**
 * The algorithms that a client wants: of each field the one that it prefers among those that exist here.
 *
 * @param lines the values of the header fields by their names in lower case, as `headersDistinct` of `node:http` has them
 * @throws {FerryError} `bad_header` if Want-Repr-Digest is malformed
 */
export function wantedIn(
  lines: Readonly<Record<string, readonly string[] | undefined>>,
): Algorithm[] {
  const wants = [
    preferred(preferencesIn(reprDigestWishes(lines))),
    preferred(legacyPreferencesIn(lines["want-digest"]?.join(", "))),
  ];
  return [...new Set(wants.filter((algorithm) => algorithm !== undefined))];
}

type Preferences = ReadonlyMap<string, number>;

function preferred(preferences: Preferences): Algorithm | undefined {
  const known = SENT.map((algorithm) => ({
    algorithm,
    weight: preferences.get(NAMES[algorithm]!) ?? 0,
  })).filter(({ weight }) => weight > 0);
  // The sort is stable: of two that are wanted as much, the stronger one is taken.
  return known.sort((a, b) => b.weight - a.weight)[0]?.algorithm;
}

/** `sha-256=10, md5=1` */
function preferencesIn(wishes: ReadonlyMap<string, unknown>): Preferences {
  return new Map(
    [...wishes].map(([name, weight]) => {
      if (typeof weight !== "number") throw malformedWishes();
      return [name, weight];
    }),
  );
}

/** `SHA-256, MD5;q=0.3` */
function legacyPreferencesIn(text = ""): Preferences {
  return new Map(
    text.split(",").map((entry) => {
      const [name = "", ...parameters] = entry.split(";").map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
      return [name, Number(weight) || 0];
    }),
  );
}

/** The fields that tell the checksums of a whole file; none without checksums. */
export function digestFields(checksums: readonly Checksum[]): Record<string, string> {
  if (checksums.length === 0) return {};
  const digests = checksums.map(digestField);
  return { "repr-digest": digests.join(", "), digest: digests.map(legacyEntry).join(",") };
}

/** An entry of the field Digest, for `NAME=:BASE64:` of Repr-Digest. */
function legacyEntry(digest: string): string {
  const equals = digest.indexOf("=");
  return `${digest.slice(0, equals).toUpperCase()}=${digest.slice(equals + 2, -1)}`;
}
