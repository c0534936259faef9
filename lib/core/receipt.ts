/**
 * Receipts: what a server says that it has stored, as a text that can be signed.
 *
 * @module
 */

import { algorithmOf, type Checksum, checksumOf, hexOf, isMd5 } from "./checksum.ts";
import { FerryError } from "./errors.ts";

/** A statement of a server that it has a file. */
export interface Receipt {
  /** The name of the file on the server. */
  readonly filename: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Digests of its content in hexadecimal digits, by their algorithms: `md5`, `sha256` or `xxh128`. */
  readonly digests: Readonly<Record<string, string>>;
  /** When the server said so, by its clock: `2026-12-01T04:00:00.000Z`. */
  readonly time: string;
  /** Whether the file survives a loss of power by then: `full`; with `none` that is left to the system. */
  readonly durability: "full" | "none";
  /** The server. */
  readonly server: {
    /** Its name and version: `ferryd/0.1.0`. */
    readonly agent: string;
    /** The address at which it was asked: `HOST:PORT`. */
    readonly address: string;
    /** The fingerprint of its certificate, as `--pin` takes it. Absent where it has none. */
    readonly certificate?: string;
  };
}

/** A receipt with its signature, a JSON Web Signature with detached payload; absent where the server has no key. */
export interface SignedReceipt extends Receipt {
  /** The header, two periods, and the signature, each in base64url. */
  readonly signature?: string;
}

/** The digests of a receipt. */
export function digestsOf(checksum: Checksum): Readonly<Record<string, string>> {
  return { [algorithmOf(checksum)!]: hexOf(checksum) };
}

/** The checksum in a receipt: of those that it has, the one that is known here. */
export function checksumIn({ digests }: Receipt): Checksum {
  const { sha256, xxh128, md5 } = digests;
  if (sha256 !== undefined) return checksumOf("sha256", sha256);
  return xxh128 !== undefined ? checksumOf("xxh128", xxh128) : md5!;
}

/** The text that is signed: JSON without spaces, the keys of each object in order (RFC 8785), without the signature. */
export function canonicalText({ signature: _, ...receipt }: SignedReceipt): string {
  return canonicalJson(receipt);
}

/** A receipt as a line of a file, without the line break. */
export function receiptLine(receipt: SignedReceipt): string {
  return canonicalJson(receipt);
}

function canonicalJson(value: object): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

/**
 * Parses the line of a receipt. Keys that are not known here are kept, since they are signed, too.
 *
 * @throws {FerryError} `bad_header` if it is none
 */
export function parseReceipt(line: string): SignedReceipt {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Reported below.
  }
  if (isReceipt(value)) return value;
  throw new FerryError("bad_header", "it is not the line of a receipt");
}

function isReceipt(value: unknown): value is SignedReceipt {
  if (!isObject(value)) return false;
  const { filename, size, digests, time, durability, server, signature } = value;
  return typeof filename === "string" && Number.isSafeInteger(size) && typeof time === "string" &&
    (durability === "full" || durability === "none") &&
    (signature === undefined || typeof signature === "string") &&
    isObject(server) && typeof server.agent === "string" && typeof server.address === "string" &&
    isObject(digests) && hasDigest(digests);
}

function hasDigest({ md5, sha256, xxh128 }: Readonly<Record<string, unknown>>): boolean {
  const known = [
    typeof md5 === "string" && isMd5(md5),
    typeof sha256 === "string" && algorithmOf(`sha256:${sha256}`) !== undefined,
    typeof xxh128 === "string" && algorithmOf(`xxh128:${xxh128}`) !== undefined,
  ];
  return known.some((has) => has);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
