/**
 * The lines of JSON in the bodies of a `compare`: the client's lines name the files that it could send, the server's
 * lines those that it wants.
 *
 * There may be many thousands of lines, so they are checked by hand: a schema would take several times as long, and
 * most of the total time.
 *
 * @module
 */

import { type ErrorCode, FerryError, isErrorCode } from "../core/errors.ts";
import { algorithmOf, type Checksum, isMd5 } from "../core/checksum.ts";
import { assertShort } from "./lines.ts";
import { MAX_VERSION_LENGTH } from "./schema.ts";

/** A client's line about a file that it could send. */
export interface ManifestLine {
  /** The name that it would get. */
  filename: string;
  /** Its size in bytes. */
  size: number;
  /** Its modification time in milliseconds since 1970. */
  mtime: number;
  /** The checksum of its content; null if the client does not know it yet. */
  checksum: Checksum | null;
  /** What it says if it is a symbolic link. Default: undefined, it is a file. */
  target?: string | undefined;
}

/** A server's line about a file that it wants or would refuse. There is no line for a file that need not be sent. */
export type ManifestReply = ManifestWish | ManifestRefusal;

/** A server's line that asks for a file or its checksum. */
export interface ManifestWish {
  /** The name, as the client gave it. */
  filename: string;
  /** `send` the file, or compare again with its checksum (`hash`). */
  decision: "send" | "hash";
  /** With `send`: a file that probably has the content already. Default: none is known. */
  from?: string | undefined;
  /** The version of that file. */
  version?: string | undefined;
}

/** A server's line about a file that it would refuse. */
export interface ManifestRefusal {
  /** The name, as the client gave it. */
  filename: string;
  /** Tells a refusal from a wish. */
  decision: "error";
  /** The code of the error. */
  code: ErrorCode;
  /** The message of the error. */
  message: string;
}

/** JavaScript's range of times (ECMA-262, "Time Values and Time Range"). */
const MAX_TIME = 8.64e15;

/**
 * Encodes a file as a line, with the line break.
 *
 * @throws {FerryError} `bad_header` if it is longer than a line may be
 */
export function encodeManifestLine(
  { filename, size, mtime, checksum, target }: ManifestLine,
): string {
  const keys = { filename, size, mtime };
  if (target !== undefined) return encode({ ...keys, target });
  if (checksum === null) return encode(keys);
  return encode(isMd5(checksum) ? { ...keys, md5: checksum } : { ...keys, checksum });
}

/**
 * Decodes the line of a file. Unknown keys are ignored.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function decodeManifestLine(line: string): ManifestLine {
  const { filename, size, mtime, md5 = null, checksum = null, target } = decode(line);
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
  if (target === undefined) return { filename, size, mtime, checksum: checksum ?? md5 };
  if (typeof target !== "string") throw bad("target", target, "is not a string");
  return { filename, size, mtime, checksum: null, target };
}

/**
 * Encodes a reply as a line, with the line break.
 *
 * @throws {FerryError} `bad_header` if it is longer than a line may be
 */
export function encodeManifestReply(reply: ManifestReply): string {
  return encode(reply);
}

/**
 * Decodes the line of a reply. Unknown keys are ignored.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function decodeManifestReply(line: string): ManifestReply {
  const { filename, decision, code, message, from, version } = decode(line);
  if (typeof filename !== "string") throw bad("filename", filename, "is not a string");
  if (decision === "send" && from !== undefined) {
    if (typeof from !== "string") throw bad("from", from, "is not a string");
    if (typeof version !== "string") throw bad("version", version, "is not a string");
    if (version.length > MAX_VERSION_LENGTH) throw bad("version", version, "is too long");
    return { filename, decision, from, version };
  }
  if (decision === "send" || decision === "hash") return { filename, decision };
  if (decision !== "error") throw bad("decision", decision, "is none of send, hash, error");
  if (typeof code !== "string") throw bad("code", code, "is not a string");
  if (typeof message !== "string") throw bad("message", message, "is not a string");
  // A newer peer may send codes that are unknown here. `usage` is about a command line and not sent.
  const known = isErrorCode(code) && code !== "usage";
  return { filename, decision, code: known ? code : "internal", message };
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
