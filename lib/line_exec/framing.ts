/**
 * Classic exec: a line up, bare, and down come the output's length, in one form or another, and the output.
 * It is what the project grew from, and what many a small program on sockets speaks.
 *
 * @module
 */

import { isMd5 } from "../core/checksum.ts";
import { FerryError } from "../core/errors.ts";

/** What stands in front of the output: a JSON header and its length, the output's length, or nothing. */
export type Framing = "json" | "length" | "raw";

/** All the framings. */
export const FRAMINGS: readonly Framing[] = ["json", "length", "raw"];

/** The longest line, in bytes: there is nothing that tells its length in advance. */
export const MAX_LINE_BYTES: number = 64 * 1024;

/** The longest output that a length of four bytes, signed, can tell. */
export const MAX_LENGTH: number = 2 ** 31 - 1;

/** The longest JSON header that is read. */
const MAX_JSON_BYTES = 64 * 1024;

const LENGTH_BYTES = 4;

/** What is told of an output before it comes. */
export interface Announced {
  /** How many bytes of standard output and standard error follow, in this order. */
  size: number;
  /** Their md5; null where it is not told, or where what is told is none. */
  md5: string | null;
}

/** What stands in front of an output; `name` is told where there is room for it, and has no meaning. */
export function encodeAnnouncement(
  framing: Framing,
  { name, size, md5 }: { name: string; size: number; md5: string },
): Uint8Array {
  if (framing === "raw") return new Uint8Array();
  if (framing === "length") return lengthPrefix(size);
  const header = { filename: name.slice(0, 255), md5, total_size: size };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(LENGTH_BYTES + json.length);
  bytes.set(lengthPrefix(json.length));
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

function lengthPrefix(length: number): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES);
  new DataView(bytes.buffer).setInt32(0, length, true);
  return bytes;
}

/**
 * Reads what stands in front of an output.
 *
 * @param read reads exactly so many bytes, which are few
 * @throws {FerryError} `bad_header`, and what `read` fails with
 */
export async function readAnnouncement(
  framing: "json" | "length",
  read: (count: number) => Promise<Uint8Array>,
): Promise<Announced> {
  const prefix = await read(LENGTH_BYTES);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getInt32(0, true);
  if (framing === "length") {
    if (length < 0) throw new FerryError("bad_header", `the output's length is ${length}`);
    return { size: length, md5: null };
  }
  if (length < 2 || length > MAX_JSON_BYTES) {
    throw new FerryError(
      "bad_header",
      `the header's length is ${length}; it must be 2 to ${MAX_JSON_BYTES}`,
    );
  }
  return parseHeader(await read(length));
}

function parseHeader(bytes: Uint8Array): Announced {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new FerryError("bad_header", "the header is not JSON in UTF-8");
  }
  if (typeof header !== "object" || header === null) {
    throw new FerryError("bad_header", "the header is not an object");
  }
  const { total_size: size, md5 } = header as { total_size?: unknown; md5?: unknown };
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw new FerryError("bad_header", "total_size is not a number of bytes");
  }
  // Many a peer has "xxx" there: the key is to be there, and a digest was for later.
  const digest = typeof md5 === "string" ? md5.toLowerCase() : "";
  return { size, md5: isMd5(digest) ? digest : null };
}
