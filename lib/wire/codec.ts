/**
 * Encodes and decodes the JSON headers of messages, with exact 64-bit integers. The length of a header and the keys
 * that the framing depends on are checked here, the keys of each operation in `operations/`.
 *
 * Nothing here does I/O. Nothing that a peer sent is trusted before it was checked. Each rejection is a `bad_header`
 * that names the key.
 *
 * @module
 */

import * as v from "valibot";
import type { Algorithm, Checksum } from "../core/checksum.ts";
import { FerryError } from "../core/errors.ts";
import { checksumKeySchemas, readChecksumKeys } from "./checksum_keys.ts";
import { foreignProtocol } from "./foreign_protocol.ts";
import {
  addChecksum,
  hasChecksum,
  HEADER_CHECKSUMS,
  isIntact,
  makeRoom,
} from "./header_checksum.ts";
import { check, string, wireSize } from "./schema.ts";

/** The size in bytes of the length field before a header. */
export const LENGTH_BYTES = 4;

/** The shortest header is `{}`. */
export const MIN_HEADER_BYTES = 2;

/** The maximum length of a header in bytes. */
export const MAX_HEADER_BYTES = 65536;

/** The keys of a header that is to be sent. */
export type HeaderKeys = Readonly<Record<string, unknown>>;

/** A header of which the framing keys have been checked, but not yet the other keys. */
export interface Header {
  /** The number of body bytes that follow; null for a streamed body. */
  total_size: bigint | null;
  /** The checksum algorithm of the body. */
  algorithm: Algorithm;
  /** The body's checksum, or null when the sender does not know it yet. */
  checksum: Checksum | null;
  /** The other keys, as received. */
  [key: string]: unknown;
}

/**
 * Decodes the length of a header from the bytes before it. It is checked before any memory is allocated for the header.
 *
 * @param prefix the {@linkcode LENGTH_BYTES} bytes
 * @throws {FerryError} `bad_header` if it is out of range for a header
 */
export function readHeaderLength(prefix: Uint8Array): number {
  const length = new DataView(prefix.buffer, prefix.byteOffset).getInt32(0, true);
  if (length >= MIN_HEADER_BYTES && length <= MAX_HEADER_BYTES) return length;
  const foreign = foreignProtocol(prefix);
  const hint = foreign === undefined ? "" : `; the other side seems to speak ${foreign}`;
  throw new FerryError(
    "bad_header",
    `the header's length is ${length}; it must be ${MIN_HEADER_BYTES} to ${MAX_HEADER_BYTES}` +
      hint,
  );
}

/**
 * Encodes a header, without the length before it.
 *
 * @param checksum whether to add a checksum of the header at its end
 * @throws {FerryError} `bad_header` if it is longer than {@linkcode MAX_HEADER_BYTES}
 */
export function encodeHeader(header: HeaderKeys, { checksum = false } = {}): Uint8Array {
  const json = toJson(header);
  const bytes = encoder.encode(checksum ? makeRoom(json) : json);
  if (bytes.length > MAX_HEADER_BYTES) {
    throw new FerryError("bad_header", `the header is longer than ${MAX_HEADER_BYTES} bytes`);
  }
  if (checksum) addChecksum(bytes);
  return bytes;
}

/**
 * Decodes a header and checks the keys that the framing depends on.
 *
 * @param checksum whether the header has to end with a checksum of itself. If it has one, it is checked in any case
 * @throws {FerryError} `bad_header`, `checksum_mismatch`; the start of the next message is unknown then
 */
export function decodeHeader(bytes: Uint8Array, { checksum = false } = {}): Header {
  const hasOne = hasChecksum(bytes);
  if ((hasOne || checksum) && !isIntact(bytes)) throw damaged();
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new FerryError("bad_header", "the header is not UTF-8");
  }
  let value: unknown;
  try {
    value = parseExact(text);
  } catch {
    throw new FerryError("bad_header", "the header is not JSON");
  }
  // Valibot accepts an array as an object.
  if (Array.isArray(value)) throw new FerryError("bad_header", "the header is not an object");
  const header = check(framing, value);
  if (!hasOne && mentionsChecksum(header)) throw damaged();
  return { ...header, total_size: header.total_size ?? null, ...readChecksumKeys(header) };
}

/** The keys that every header may have. Their types are checked even if they are not used. */
export const framing = v.looseObject({
  filename: v.optional(string),
  ...checksumKeySchemas,
  total_size: v.optional(v.nullable(wireSize), 0n),
}, "is not an object");

/** Whether a header claims to have a checksum: by the key, or as a `hello` that announces header checksums. */
function mentionsChecksum({ crc32, features }: HeaderKeys): boolean {
  return crc32 !== undefined || Array.isArray(features) && features.includes(HEADER_CHECKSUMS);
}

function damaged(): FerryError {
  const reason = "a header was damaged on its way: it does not end with the checksum of what came";
  return new FerryError("checksum_mismatch", reason);
}

/** The keys whose values are 64-bit integers. */
const EXACT_KEYS: ReadonlySet<string> = new Set([
  "total_size",
  "size",
  "offset",
  "received",
  "start",
  "count",
]);

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

// TypeScript's library does not have these two yet.
// https://tc39.es/proposal-json-parse-with-source/
type SourceReviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const parseJson = JSON.parse as (text: string, reviver: SourceReviver) => unknown;
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** Encodes JSON with integers of any size. A replacer takes twice as long, and few headers contain a bigint. */
function toJson(header: HeaderKeys): string {
  try {
    return JSON.stringify(header);
  } catch {
    return JSON.stringify(header, exactInteger);
  }
}

function exactInteger(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? rawJSON(value.toString()) : value;
}

/**
 * Matches a value that a JavaScript number may not hold exactly as an integer: one with a fraction, an exponent or at
 * least 16 digits. It may also match inside a string; that only costs time.
 */
const INEXACT = /:\s*-?\d+(?:[.eE]|\d{15})/;

/**
 * Parses JSON. Integers that are values of {@linkcode EXACT_KEYS} become bigints.
 *
 * Parsing with a reviver takes several times as long, so it is done only if necessary: for an integer that may not fit
 * into a number, or a nested object.
 *
 * @throws {SyntaxError} if it is not JSON
 */
export function parseExact(text: string): unknown {
  if (text.includes("{", 1) || INEXACT.test(text)) return parseJson(text, exactIntegers);
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Record<string, unknown>;
  for (const key of EXACT_KEYS) {
    const number = object[key];
    if (typeof number === "number") object[key] = BigInt(number);
  }
  return object;
}

function exactIntegers(key: string, value: unknown, { source }: { source?: string }): unknown {
  const exact = typeof value === "number" && EXACT_KEYS.has(key) && /^-?\d+$/.test(source ?? "");
  return exact ? BigInt(source as string) : value;
}
