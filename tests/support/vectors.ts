/**
 * The test vectors of `fixtures/frames`, which its README describes.
 *
 * @module
 */

import { decodeHex } from "@std/encoding/hex";
import { PROJECT } from "./programs.ts";
import { utf8 } from "./bytes.ts";

/** The bytes of a vector, as hexadecimal digits or as pieces, some of which are repeated. */
type Hex = string | readonly (string | { repeat: string; times: number })[];

/** A header as a vector has it. */
type VectorHeader = Readonly<Record<string, unknown>>;

/** A valid message, which a receiver must understand. */
export interface VectorMessage {
  /** The opening header. */
  header: VectorHeader;
  /** The whole body. */
  body: { size: number; md5: string; hex?: string };
  /** The closing header, where there is one. */
  closing?: VectorHeader;
}

/** Valid bytes, which a receiver must understand. */
export interface GoodVector {
  /** Its name. */
  name: string;
  /** What it tests. */
  description: string;
  /** The bytes. */
  hex: Hex;
  /** The messages that they contain. */
  messages: VectorMessage[];
}

/** Invalid bytes, which a receiver must refuse. */
export interface BadVector {
  /** Its name. */
  name: string;
  /** What it tests. */
  description: string;
  /** The bytes. */
  hex: Hex;
  /** The code of the resulting error. */
  code: string;
  /** Whether the connection ends with it. */
  ends: boolean;
}

/** A message of an exchange whose bytes are exactly as shown. */
export interface ExchangedMessage {
  /** The sender: `client` or `server`. */
  from: string;
  /** What the message does. */
  description: string;
  /** The bytes. */
  hex: string;
}

/** The vectors that must be understood. */
export const GOOD: readonly GoodVector[] = load("good.json");

/** The vectors that must be refused. */
export const BAD: readonly BadVector[] = load("bad.json");

/** An exchange on one connection to a server whose root is empty. */
export const EXCHANGE: readonly ExchangedMessage[] = load("exchange.json");

function load<Vector>(file: string): Vector[] {
  return JSON.parse(Deno.readTextFileSync(`${PROJECT}fixtures/frames/${file}`));
}

/** The bytes of a vector. */
export function bytesOf(hex: Hex): Uint8Array<ArrayBuffer> {
  const parts = typeof hex === "string" ? [hex] : hex;
  return decodeHex(
    parts.map((part) => typeof part === "string" ? part : part.repeat.repeat(part.times)).join(""),
  );
}

/** The decoded form of a header: exact sizes, and the defaults that the framing supplies for absent keys. */
export function meaningOf(header: VectorHeader): Record<string, unknown> {
  const { md5: checksum = null } = header;
  return { total_size: 0n, ...exact(header) as VectorHeader, algorithm: "md5", checksum };
}

function exact(value: unknown, key = ""): unknown {
  if (["total_size", "size", "offset"].includes(key)) {
    const isInteger = typeof value === "number" || typeof value === "string";
    return isInteger ? BigInt(value) : value;
  }
  if (Array.isArray(value)) return value.map((item) => exact(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, exact(item, name)]));
}

/** The header at the beginning of bytes, without the length that precedes it. */
export function firstHeader(bytes: Uint8Array): Uint8Array {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
  return bytes.subarray(4, 4 + length);
}

/** The bytes of a message, made without ferry's own encoder. */
export function message(header: string, body: string | Uint8Array = ""): Uint8Array {
  const json = utf8.encode(header);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setInt32(0, json.length, true);
  return concat([length, json, typeof body === "string" ? utf8.encode(body) : body]);
}

/** Concatenates bytes. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}
