/**
 * The lines of JSON by which a client tells what it would send, and a server which of it it wants.
 *
 * Nothing here does I/O. A line is one of many thousands, so it is checked by hand: what checks headers
 * takes several times as long, and here that would be most of the work.
 *
 * @module
 */

import { type ErrorCode, FerryError, isErrorCode } from "../core/errors.ts";
import { algorithmOf, type Checksum, isMd5 } from "../core/checksum.ts";

/** The longest line in bytes of UTF-8, without the line break. */
export const MAX_LINE_BYTES = 65536;

/** A file that the client could send. */
export interface ManifestLine {
  /** The name that it is to have. */
  filename: string;
  /** Its size in bytes. */
  size: number;
  /** Its modification time in milliseconds since 1970. */
  mtime: number;
  /** The checksum of its content, or null where the client does not know it yet. */
  checksum: Checksum | null;
}

/**
 * What the server says to a file: `send` it, or tell its checksum (`hash`), or why it would be refused. To
 * what need not be sent it says nothing.
 */
export type ManifestReply = ManifestWish | ManifestRefusal;

/** The server wants a file or its checksum. */
export interface ManifestWish {
  /** The name, as the client gave it. */
  filename: string;
  /** What is wanted. */
  decision: "send" | "hash";
}

/** The server would refuse a file. */
export interface ManifestRefusal {
  /** The name, as the client gave it. */
  filename: string;
  /** Says that it is refused. */
  decision: "error";
  /** Why, for programs. */
  code: ErrorCode;
  /** Why, for people. */
  message: string;
}

/** JavaScript's range of times (ECMA-262, "Time Values and Time Range"). */
const MAX_TIME = 8.64e15;

const utf8 = new TextEncoder();

/**
 * A file as a line, with the line break.
 *
 * @throws {FerryError} `bad_header` where it is longer than {@linkcode MAX_LINE_BYTES}
 */
export function encodeManifestLine({ filename, size, mtime, checksum }: ManifestLine): string {
  const keys = { filename, size, mtime };
  if (checksum === null) return encode(keys);
  return encode(isMd5(checksum) ? { ...keys, md5: checksum } : { ...keys, checksum });
}

/**
 * A file from its line; keys that are not known are ignored.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function decodeManifestLine(line: string): ManifestLine {
  const { filename, size, mtime, md5 = null, checksum = null } = decode(line);
  if (typeof filename !== "string") throw bad("filename", filename, "is not a string");
  if (typeof size !== "number") throw bad("size", size, "is not a number");
  if (!Number.isInteger(size)) throw bad("size", size, "is not an integer");
  if (size < 0) throw bad("size", size, "is negative");
  if (size > Number.MAX_SAFE_INTEGER) throw bad("size", size, "is more than 2^53-1");
  if (typeof mtime !== "number") throw bad("mtime", mtime, "is not a number");
  if (!Number.isInteger(mtime)) throw bad("mtime", mtime, "is not an integer");
  if (Math.abs(mtime) > MAX_TIME) throw bad("mtime", mtime, "is out of range");
  if (md5 !== null && (typeof md5 !== "string" || !isMd5(md5))) {
    throw bad("md5", md5, "is not 32 lower-case hexadecimal digits");
  }
  if (checksum !== null && (typeof checksum !== "string" || !algorithmOf(checksum))) {
    throw bad("checksum", checksum, "is no checksum");
  }
  return { filename, size, mtime, checksum: checksum ?? md5 };
}

/**
 * A reply as a line, with the line break.
 *
 * @throws {FerryError} `bad_header` where it is longer than {@linkcode MAX_LINE_BYTES}
 */
export function encodeManifestReply(reply: ManifestReply): string {
  return encode(reply);
}

/**
 * A reply from its line; keys that are not known are ignored.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function decodeManifestReply(line: string): ManifestReply {
  const { filename, decision, code, message } = decode(line);
  if (typeof filename !== "string") throw bad("filename", filename, "is not a string");
  if (decision === "send" || decision === "hash") return { filename, decision };
  if (decision !== "error") throw bad("decision", decision, "is none of send, hash, error");
  if (typeof code !== "string") throw bad("code", code, "is not a string");
  if (typeof message !== "string") throw bad("message", message, "is not a string");
  // A newer peer may have codes that are not known here; `usage` is about a command line, not a wire.
  const known = isErrorCode(code) && code !== "usage";
  return { filename, decision, code: known ? code : "internal", message };
}

/** How much text is gathered for one piece of a body of lines. */
const PIECE_CHARACTERS = 32 * 1024;

/** How many lines are given together at most. */
const MOST_LINES = 64;

/** Lines as the pieces of a streamed body; `encodeLine` gives each with its line break. */
export async function* encodeLines<T>(
  items: AsyncIterable<T> | Iterable<T>,
  encodeLine: (item: T) => string,
): AsyncGenerator<Uint8Array, void, void> {
  let text = "";
  for await (const item of items) {
    text += encodeLine(item);
    if (text.length < PIECE_CHARACTERS) continue;
    yield utf8.encode(text);
    text = "";
  }
  yield utf8.encode(text);
}

/**
 * What the lines of a body stand for, however the body is cut into pieces: those that end in a piece
 * together, or 64 of them, since one by one they would cost more than what is done with them. Never is more than one
 * line and one piece kept.
 *
 * @throws {FerryError} `bad_header` where it is not UTF-8 or a line is too long, and what `decodeLine`
 * throws
 */
export async function* decodeLines<T>(
  pieces: AsyncIterable<Uint8Array>,
  decodeLine: (line: string) => T,
): AsyncGenerator<T[], void, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const textOf = (piece?: Uint8Array) => {
    try {
      return piece ? decoder.decode(piece, { stream: true }) : decoder.decode();
    } catch {
      throw new FerryError("bad_header", "the lines are not UTF-8");
    }
  };
  let rest = "";
  for await (const piece of pieces) {
    const text = textOf(piece);
    // Searching what is new, not what has been gathered: a line may come byte by byte.
    if (text.includes("\n")) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (let from = 0; from < lines.length; from += MOST_LINES) {
        const some = lines.slice(from, from + MOST_LINES);
        yield some.map((line) => decodeLine(assertShort(line)));
      }
    } else rest += text;
    if (rest.length > MAX_LINE_BYTES) throw tooLong();
  }
  rest += textOf();
  if (rest !== "") yield [decodeLine(assertShort(rest))];
}

function encode(value: object): string {
  return assertShort(JSON.stringify(value)) + "\n";
}

function decode(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new FerryError("bad_header", "a line is not JSON");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new FerryError("bad_header", "a line is not an object");
}

function bad(key: string, value: unknown, flaw: string): FerryError {
  return new FerryError("bad_header", `${key} ${value === undefined ? "is missing" : flaw}`);
}

function assertShort(line: string): string {
  // A UTF-16 unit is at most three bytes of UTF-8, so most lines need no encoding to be measured.
  if (line.length * 3 > MAX_LINE_BYTES && utf8.encode(line).length > MAX_LINE_BYTES) {
    throw tooLong();
  }
  return line;
}

function tooLong(): FerryError {
  return new FerryError("bad_header", `a line is longer than ${MAX_LINE_BYTES} bytes`);
}
