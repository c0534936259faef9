/**
 * The framings of classic exec: the client sends a bare line of text, and the server replies with the length of the
 * command's output, in one of several forms, and the output. Many small socket programs use one of them.
 *
 * @module
 */

import { isMd5 } from "../core/checksum.ts";
import { FerryError } from "../core/errors.ts";

/** What precedes the output: `json` a JSON header and its length, `length` the output's length, `raw` nothing. */
export type Framing = "json" | "length" | "raw";

/** All the framings. */
export const FRAMINGS: readonly Framing[] = ["json", "length", "raw"];

/** The maximum length of a line in bytes. It is limited because a line does not announce its length. */
export const MAX_LINE_BYTES: number = 64 * 1024;

/** The maximum size of an output in bytes: the length is a signed number of four bytes. */
export const MAX_LENGTH: number = 2 ** 31 - 1;

/** The maximum size of a JSON header in bytes. */
const MAX_JSON_BYTES = 64 * 1024;

const LENGTH_BYTES = 4;

/** The information about an output that precedes it. */
export interface Announced {
  /** How many bytes follow: standard output, then standard error. */
  size: number;
  /** Their MD5; null if none is given, or the value is not an MD5. */
  md5: string | null;
}

/** Encodes the bytes before an output. `name` is put into the JSON header, where it has no meaning. */
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
 * Reads the announcement before an output.
 *
 * @param read reads exactly that many bytes
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
  // Many peers send "xxx": they have to send the key, and do not compute a digest.
  const digest = typeof md5 === "string" ? md5.toLowerCase() : "";
  return { size, md5: isMd5(digest) ? digest : null };
}
