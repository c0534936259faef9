/**
 * The header fields in which digests are sent: Content-Digest and Repr-Digest (RFC 9530), Digest (RFC 3230) and
 * Content-MD5 (RFC 2616).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { decodeBase64 } from "@std/encoding/base64";
import { parseDictionary } from "structured-headers";
import { algorithmOf, type Checksum, hexOf } from "../../../../lib/core/checksum.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import {
  type Attestation,
  ATTESTING,
  type AttestingAlgorithm,
} from "../../../files/attested_content.ts";

/** The fields by which a client attests the content of its request, in lower case. */
const FIELDS = ["content-digest", "repr-digest", "digest", "content-md5"] as const;

/**
 * The digests that the header fields of a request give of its content, which is the whole representation. Those of
 * algorithms that are not known here are left out.
 *
 * @param lines the values of the header fields by their names in lower case, as `headersDistinct` of `node:http` has them
 * @throws {FerryError} `bad_header` if a field is malformed, or a digest has not the length of its algorithm
 */
export function attestationsIn(
  lines: Readonly<Record<string, readonly string[] | undefined>>,
): Attestation[] {
  return FIELDS.flatMap((field) => {
    const text = lines[field]?.join(", ");
    if (text === undefined) return [];
    try {
      return entriesOf(field, text).flatMap(([name, digest]) => attestation(name, digest));
    } catch (cause) {
      throw new FerryError("bad_header", `the header field ${field} is malformed`, { cause });
    }
  });
}

function entriesOf(
  field: typeof FIELDS[number],
  text: string,
): (readonly [name: string, digest: Uint8Array])[] {
  switch (field) {
    case "content-md5":
      return [["md5", decodeBase64(text)]];
    case "digest":
      return text.split(",").map((entry) => legacyEntry(entry.trim()));
    default:
      return [...parseDictionary(text)].map(([name, [value]]) => {
        if (!(value instanceof ArrayBuffer)) throw new TypeError(`${name} is no byte sequence`);
        return [name, new Uint8Array(value)];
      });
  }
}

/** An entry of the field Digest. Some of its algorithms have values that are not in base64. */
function legacyEntry(entry: string): readonly [name: string, digest: Uint8Array] {
  const equals = entry.indexOf("=");
  if (equals < 1) throw new TypeError("an entry has no value");
  const name = entry.slice(0, equals).toLowerCase();
  return [name, isKnown(name) ? decodeBase64(entry.slice(equals + 1)) : new Uint8Array()];
}

function isKnown(name: string): name is AttestingAlgorithm {
  return Object.hasOwn(ATTESTING, name);
}

function attestation(name: string, digest: Uint8Array): Attestation[] {
  if (!isKnown(name)) return [];
  if (digest.length !== ATTESTING[name]) {
    throw new TypeError(`a digest by ${name} has another length`);
  }
  return [{ algorithm: name, digest }];
}

/**
 * The values that Want-Repr-Digest gives to algorithms: how much a client wants each, as numbers if it is well-formed.
 *
 * @param lines the values of the header fields by their names in lower case, as `headersDistinct` of `node:http` has them
 * @throws {FerryError} `bad_header` if it is no dictionary
 */
export function reprDigestWishes(
  lines: Readonly<Record<string, readonly string[] | undefined>>,
): ReadonlyMap<string, unknown> {
  try {
    const text = lines["want-repr-digest"]?.join(", ") ?? "";
    return new Map([...parseDictionary(text)].map(([name, [value]]) => [name, value]));
  } catch (cause) {
    throw malformedWishes(cause);
  }
}

/** The error for a malformed Want-Repr-Digest. */
export function malformedWishes(cause?: unknown): FerryError {
  return new FerryError("bad_header", "the header field want-repr-digest is malformed", { cause });
}

/** The value of a Content-Digest or Repr-Digest field with a checksum. */
export function digestField(checksum: Checksum): string {
  const name = algorithmOf(checksum) === "sha256" ? "sha-256" : algorithmOf(checksum);
  return `${name}=:${Buffer.from(hexOf(checksum), "hex").toString("base64")}:`;
}
