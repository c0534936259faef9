/**
 * The JSON headers: bytes to typed values and back, with 64-bit integers kept exact.
 *
 * Nothing here does I/O. What a peer sent is unknown until it has passed through this module; each
 * rejection is a `bad_header` that names the key.
 *
 * @module
 */

import {
  type Entry,
  type Listed,
  type Omitted,
  type PartEntry,
  UNKEPT,
  type Unkept,
} from "../core/entry.ts";
import * as v from "valibot";
import { FerryError, isErrorCode, type Place } from "../core/errors.ts";
import { type Algorithm, algorithmOf, ALGORITHMS, type Checksum, isMd5 } from "../core/checksum.ts";
import {
  addChecksum,
  hasChecksum,
  HEADER_CHECKSUMS,
  isIntact,
  makeRoom,
} from "./header_checksum.ts";
import { MAX_TIMEOUT_MS } from "../core/number_options.ts";
import { type Overwrite, OVERWRITE_POLICIES } from "../core/overwrite.ts";

/** The version of the protocol that this program speaks. */
export const PROTOCOL_VERSION = 1;

/** The shortest header is `{}`. */
export const MIN_HEADER_BYTES = 2;

/** The longest header; a longer one is refused before anything is allocated. */
export const MAX_HEADER_BYTES = 65536;

/** The largest size on the wire: 2^63-1. */
export const MAX_WIRE_SIZE: bigint = 2n ** 63n - 1n;

/** A header whose framing keys are checked and whose other keys are not looked at yet. */
export interface Header {
  /** The number of body bytes that follow; null for a streamed body. */
  total_size: bigint | null;
  /** What the body is checked with. */
  algorithm: Algorithm;
  /** The body's checksum, or null when the sender does not know it yet. */
  checksum: Checksum | null;
  /** The other keys, as they came. */
  [key: string]: unknown;
}

/** The last message of a body whose digest was not known at its start. */
export interface ClosingHeader {
  /** The checksum of the whole body. */
  checksum: Checksum;
  /** The number of bytes of the whole body. */
  size: bigint;
}

/** `hello`: which versions the client speaks. */
export interface HelloRequest {
  /** The operation. */
  op: "hello";
  /** The versions of the protocol, any order. */
  versions: number[];
  /** The optional parts of the protocol that the client uses if the server has them. */
  features: string[];
  /** Milliseconds after which the client takes silence for the end of the connection. */
  idle_ms: number;
  /** The first message of an exchange in which the client proves who it is. */
  scram?: string | undefined;
}

/** `auth`: who the client is; a message of an exchange of SCRAM. */
export interface AuthRequest {
  /** The operation. */
  op: "auth";
  /** The client's first message, or its last. */
  scram: string;
}

/** `ping`: nothing but an answer. */
export interface PingRequest {
  /** The operation. */
  op: "ping";
}

/** `put`: a body follows, or, as an offer, the question whether it should. */
export interface PutRequest {
  /** The operation. */
  op: "put";
  /** The name that the file is to have. */
  filename: string;
  /** What the content is checked with. */
  algorithm: Algorithm;
  /** The checksum of the content, or null where it is not known yet. */
  checksum: Checksum | null;
  /** What to do when the name is taken. */
  overwrite: Overwrite;
  /** The source's modification time in milliseconds since 1970, to be kept. */
  mtime?: number | undefined;
  /** The permission bits to be kept, 0 to 0o777. */
  mode?: number | undefined;
  /** Whether this only asks; no body follows then, and `size` tells the file's size. */
  offer: boolean;
  /** The whole file's size, in an offer and where the body goes on behind a part. */
  size?: bigint | undefined;
  /** Where the body goes on behind a part that the server offered; 0 at the start of the file. */
  offset: bigint;
  /** In an offer: that no part will do, since the one that was offered is not of this file. */
  restart: boolean;
}

/** `get`: send the file. */
export interface GetRequest {
  /** The operation. */
  op: "get";
  /** The file. */
  filename: string;
  /** What it is to be checked with. */
  algorithm: Algorithm;
  /** How many of its first bytes the client has; they are not sent if a checksum proves them. */
  offset: bigint;
  /** The checksum of the file that they are of. */
  ifChecksum: Checksum | null;
  /** The md5 of those bytes. */
  prefix_md5: string | null;
  /** Their XXH3-128. */
  prefix_xxh128: string | null;
  /** The first byte of the range that is asked for; with this or a count, only a range is. */
  start?: bigint | undefined;
  /** How many bytes of it; all behind the first one unless told. */
  count?: bigint | undefined;
}

/** `list`: the entries of a directory. */
export interface ListRequest {
  /** The operation. */
  op: "list";
  /** The directory; "" is the root. */
  filename: string;
  /** Whether to descend. */
  recursive: boolean;
  /** Whether to list the parts of files that were cut, wherever they belong, instead. */
  parts: boolean;
  /** Whether to tell also what is left out, and why. */
  omitted: boolean;
}

/** `stat`: what is known of one name. */
export interface StatRequest {
  /** The operation. */
  op: "stat";
  /** Which checksum is wanted. */
  algorithm: Algorithm;
  /** The name; "" is the root. */
  filename: string;
}

/** `mkdir`: make a directory and those above it. */
export interface MkdirRequest {
  /** The operation. */
  op: "mkdir";
  /** The directory. */
  filename: string;
}

/** `remove`: delete a file, or a directory with all that is in it. */
export interface RemoveRequest {
  /** The operation. */
  op: "remove";
  /** The name. */
  filename: string;
  /** Whether a directory may go, with its content. */
  recursive: boolean;
}

/** `discard`: throw away what is kept of uploads that were cut. */
export interface DiscardRequest {
  /** The operation. */
  op: "discard";
  /** The name that the file was to have. */
  filename: string;
}

/** `move`: give another name. */
export interface MoveRequest {
  /** The operation. */
  op: "move";
  /** The present name. */
  filename: string;
  /** The new name. */
  to: string;
  /** `always` replaces a file of the new name. */
  overwrite: "never" | "always";
}

/** `compare`: which of the files that the body names would have to be sent. */
export interface CompareRequest {
  /** The operation. */
  op: "compare";
  /** What the client will do where a name is taken. */
  overwrite: Overwrite;
  /** Whether only a checksum proves that two files are the same, not their size and time. */
  content: boolean;
}

/** `exec`: run a command; a body of the request is its standard input. */
export interface ExecRequest {
  /** The operation. */
  op: "exec";
  /** The command's name and its arguments, as they are. */
  argv?: string[] | undefined;
  /** Instead of that, a line for the shell. */
  command?: string | undefined;
  /** Milliseconds after which the client wants it killed; the server may do so earlier. */
  timeout_ms?: number | undefined;
}

/** Every request that a server understands. */
export type Request =
  | HelloRequest
  | AuthRequest
  | PingRequest
  | PutRequest
  | GetRequest
  | ListRequest
  | StatRequest
  | MkdirRequest
  | RemoveRequest
  | DiscardRequest
  | MoveRequest
  | CompareRequest
  | ExecRequest;

/** What a `ping` is answered with. */
export interface PingReply {
  /** What keeps the server from serving files; undefined where nothing does. */
  problem?: string | undefined;
  /** What it cannot promise, as sentences. */
  shortcomings: string[];
}

/** What a `hello` is answered with. */
export interface HelloReply {
  /** The version that both sides speak. */
  version: number;
  /** The optional parts of the protocol that the server has. */
  features: string[];
  /** Milliseconds after which the server takes silence for the end of the connection. */
  idle_ms: number;
  /** How a client proves who it is; `none` where nobody asks. */
  auth: string;
  /** The server's program and version. */
  agent: string;
  /** The server's first message, where the client sent its own. */
  scram?: string | undefined;
  /** What the client may do without proving who it is; empty where the server does not say. */
  scopes: string[];
}

/** What an `auth` is answered with. */
export interface AuthReply {
  /** The server's first message, or its last, which is its own proof. */
  scram: string;
  /** What the client may do; empty before it has proven who it is. */
  scopes: string[];
}

/** What an upload came to. */
export interface PutReply {
  /** The name on the server. */
  filename: string;
  /** The checksum of the file under that name. */
  checksum: Checksum;
  /** Its size in bytes. */
  size: number;
  /** Whether nothing was changed because what is there already serves. */
  unchanged: boolean;
  /** What of the file is not kept there. */
  unkept: Unkept[];
}

/** The answer to an offer. */
export interface OfferReply {
  /** `send` it, nothing to do because you `have` it there, or `hash` it and offer again. */
  decision: "send" | "have" | "hash";
  /** The checksum of what is there, with `have`. */
  checksum: Checksum | null;
  /** Its size in bytes; undefined where an older server does not tell. */
  size?: number | undefined;
  /** With `send`: how many bytes the server has of a part, that need not be sent again. */
  offset: number;
  /** The md5 of those bytes, which the client compares with its own. */
  prefix_md5: string | null;
  /** Their XXH3-128, which is quicker to compare. */
  prefix_xxh128: string | null;
  /** The words A, B, C and D of md5 behind them, so that the client need not compute it again. */
  prefix_state: string | null;
}

/** What precedes a file's bytes. */
export interface GetReply {
  /** The name on the server. */
  filename: string;
  /** The size in bytes. */
  size: number;
  /** The modification time in milliseconds since 1970. */
  mtime: number;
  /** The permission bits, 0 to 0o777. */
  mode: number;
  /** How many bytes in front of the body the client has already. */
  offset: number;
  /** Where the range that is the body begins; absent where the body is no range. */
  start?: number | undefined;
}

/** Where a command writes. */
export type OutputStream = "stdout" | "stderr";

/** What precedes a command's output. */
export interface ExecReply {
  /** Milliseconds after which the server kills the command. */
  timeout_ms: number;
}

/** How a command ended, as it stands in the closing header behind its output. */
export interface ExecEnd {
  /** Its exit status; 128 and the number of the signal that ended it; 124 where the time was up. */
  exit_code: number;
  /** The signal that ended it, as `SIGKILL`; null where it ended by itself. */
  signal: string | null;
  /** Whether it was killed because the time was up. */
  timed_out: boolean;
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

/**
 * The bytes of a header, without the length before them.
 *
 * @param checksum whether it is to end with a checksum of itself
 * @throws {FerryError} `bad_header` where they are more than {@linkcode MAX_HEADER_BYTES}
 */
export function encodeHeader(
  header: Readonly<Record<string, unknown>>,
  { checksum = false } = {},
): Uint8Array {
  const json = toJson(header);
  const bytes = encoder.encode(checksum ? makeRoom(json) : json);
  if (bytes.length > MAX_HEADER_BYTES) {
    throw new FerryError("bad_header", `the header is longer than ${MAX_HEADER_BYTES} bytes`);
  }
  if (checksum) addChecksum(bytes);
  return bytes;
}

/** JSON with integers of any size. Few headers have one that needs it, and a replacer takes twice the time. */
function toJson(header: Readonly<Record<string, unknown>>): string {
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
 * Reads a header and checks the keys that the framing depends on.
 *
 * @param checksum whether it has to end with a checksum of itself; one that it has is checked in any case
 * @throws {FerryError} `bad_header`, `checksum_mismatch`; where the next message starts is not known then
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
  // To the check below an array is an object like any other.
  if (Array.isArray(value)) throw new FerryError("bad_header", "the header is not an object");
  const header = check(framing, value);
  if (!hasOne && mentionsChecksum(header)) throw damaged();
  return { ...header, total_size: header.total_size ?? null, ...readChecksum(header) };
}

/** Whether a header says that it has a checksum: by its key, or by a `hello` that announces them. */
function mentionsChecksum({ crc32, features }: Readonly<Record<string, unknown>>): boolean {
  return crc32 !== undefined || Array.isArray(features) && features.includes(HEADER_CHECKSUMS);
}

function damaged(): FerryError {
  const reason = "a header was damaged on its way: it does not end with the checksum of what came";
  return new FerryError("checksum_mismatch", reason);
}

/** The keys of a header that say what its body is checked with, and its checksum where that is known. */
export function checksumKeys(
  algorithm: Algorithm,
  checksum: Checksum | null,
): Readonly<Record<string, string | null>> {
  // Who knows of md5 alone finds nothing to be surprised by.
  return algorithm === "md5" ? { md5: checksum } : { checksum: checksum ?? algorithm };
}

interface ChecksumKeys {
  md5?: string | null | undefined;
  checksum?: string | undefined;
}

function readChecksum(
  { md5 = null, checksum }: ChecksumKeys,
): { algorithm: Algorithm; checksum: Checksum | null } {
  if (checksum === undefined) return { algorithm: "md5", checksum: md5 };
  const named = ALGORITHMS.find((known) => known === checksum);
  // The name alone says which one it will be; of md5 there is a key for what is known.
  if (named) return { algorithm: named, checksum: named === "md5" ? md5 : null };
  return { algorithm: algorithmOf(checksum)!, checksum };
}

/**
 * What may be the value of a key and is no integer that a number holds exactly: a fraction, an exponent, 16
 * digits.
 */
const INEXACT = /:\s*-?\d+(?:[.eE]|\d{15})/;

/**
 * JSON whose {@linkcode EXACT_KEYS} have integers of any size. Few have one that does not fit into a number, or
 * an object in the object, and the others are read several times as fast without a reviver. A text in quotes
 * may look like either; that only costs time.
 */
function parseExact(text: string): unknown {
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

const wireSize = v.pipe(
  v.bigint("is not an integer"),
  v.minValue(0n, "is negative"),
  v.maxValue(MAX_WIRE_SIZE, "is more than 2^63-1"),
);
const string = v.string("is not a string");
const knownMd5 = v.pipe(string, v.check(isMd5, "is not 32 lower-case hexadecimal digits"));
/** 32 hexadecimal digits, as an md5 has. */
const xxh128 = knownMd5;
const checksumKey = v.pipe(
  string,
  v.check(
    (text) => ALGORITHMS.some((known) => known === text) || algorithmOf(text) !== undefined,
    `is none of ${ALGORITHMS.join(", ")}, nor a checksum of theirs`,
  ),
);
const boolean = v.boolean("is not a boolean");

function integer(min: number, max: number) {
  return v.pipe(
    v.number("is not a number"),
    v.integer("is not an integer"),
    v.minValue(min, `is less than ${min}`),
    v.maxValue(max, `is more than ${max}`),
  );
}

/** What can be handed to a program: C ends a text at U+0000, and UTF-8 has no lone surrogates. */
const argument = v.pipe(
  string,
  v.check((text) => !text.includes("\0"), "has the character U+0000"),
  v.check((text) => text.isWellFormed(), "is not well-formed Unicode"),
);

/** JavaScript's range of times (ECMA-262, "Time Values and Time Range"). */
const mtime = integer(-8.64e15, 8.64e15);
const mode = integer(0, 0o777);

const framing = v.looseObject({
  filename: v.optional(string),
  md5: v.nullish(knownMd5),
  checksum: v.optional(checksumKey),
  total_size: v.optional(v.nullable(wireSize), 0n),
}, "is not an object");

const closing = v.object({
  end: v.literal(true, "is not true"),
  checksum: v.string("is missing"),
  size: wireSize,
});

/** As the header gives it, whose keys are checked already. */
const algorithm = v.picklist(ALGORITHMS);
const checksum = v.nullable(string);

const overwrite = v.optional(
  v.picklist(OVERWRITE_POLICIES, `is none of ${OVERWRITE_POLICIES.join(", ")}`),
  "never",
);

/** The optional parts of the protocol that one side of a connection has. */
const features = v.optional(v.array(string), () => []);

/** After how many milliseconds one side of a connection gives a silent other one up. */
const idle_ms = v.optional(integer(1, MAX_TIMEOUT_MS), 60_000);

/** The value of a key for that many milliseconds. */
export function timeoutKey(ms: number): number {
  return Math.min(Math.max(1, Math.floor(ms)), MAX_TIMEOUT_MS);
}

const REQUESTS: { readonly [Op in Request["op"]]: v.GenericSchema<unknown, unknown> } = {
  hello: v.object({
    op: v.literal("hello"),
    versions: v.pipe(
      v.array(integer(0, 2 ** 31 - 1), "is not an array"),
      v.maxLength(64, "has more than 64 items"),
    ),
    features,
    idle_ms,
    scram: v.optional(string),
  }),
  auth: v.object({ op: v.literal("auth"), scram: string }),
  ping: v.object({ op: v.literal("ping") }),
  put: v.object({
    op: v.literal("put"),
    filename: string,
    algorithm,
    checksum,
    overwrite,
    mtime: v.optional(mtime),
    mode: v.optional(mode),
    offer: v.optional(boolean, false),
    size: v.optional(wireSize),
    offset: v.optional(wireSize, 0n),
    restart: v.optional(boolean, false),
  }),
  get: v.pipe(
    v.object({
      op: v.literal("get"),
      filename: string,
      algorithm,
      offset: v.optional(wireSize, 0n),
      if_md5: v.nullish(knownMd5, null),
      if_checksum: v.optional(checksumKey),
      prefix_md5: v.nullish(knownMd5, null),
      prefix_xxh128: v.nullish(xxh128, null),
      start: v.optional(wireSize),
      count: v.optional(wireSize),
    }),
    v.check(
      ({ offset, start, count }) => offset === 0n || start === undefined && count === undefined,
      "has both an offset and a range",
    ),
    v.transform(({ if_md5, if_checksum, ...get }) => ({
      ...get,
      ifChecksum: if_checksum ?? if_md5,
    })),
  ),
  list: v.object({
    op: v.literal("list"),
    filename: v.optional(string, ""),
    recursive: v.optional(boolean, false),
    parts: v.optional(boolean, false),
    omitted: v.optional(boolean, false),
  }),
  stat: v.object({ op: v.literal("stat"), filename: string, algorithm }),
  compare: v.object({
    op: v.literal("compare"),
    overwrite,
    content: v.optional(boolean, false),
  }),
  mkdir: v.object({ op: v.literal("mkdir"), filename: string }),
  remove: v.object({
    op: v.literal("remove"),
    filename: string,
    recursive: v.optional(boolean, false),
  }),
  discard: v.object({ op: v.literal("discard"), filename: string }),
  move: v.object({
    op: v.literal("move"),
    filename: string,
    to: string,
    overwrite: v.optional(v.picklist(["never", "always"], "is none of never, always"), "never"),
  }),
  exec: v.pipe(
    v.object({
      op: v.literal("exec"),
      argv: v.optional(v.pipe(
        v.array(argument, "is not an array"),
        v.check(([name]) => name !== undefined && name !== "", "names no command"),
      )),
      command: v.optional(argument),
      timeout_ms: v.optional(integer(1, MAX_TIMEOUT_MS)),
    }),
    v.check(
      ({ argv, command }) => (argv === undefined) !== (command === undefined),
      "has to have either argv or command",
    ),
  ),
};

/**
 * The request in a header.
 *
 * @throws {FerryError} `bad_header` that names the key, or the operation that is not known
 */
export function parseRequest(header: Header): Request {
  const { op } = header;
  if (typeof op !== "string") throw new FerryError("bad_header", "op is missing or not a string");
  if (!Object.hasOwn(REQUESTS, op)) {
    throw new FerryError("bad_header", `op ${JSON.stringify(op.slice(0, 32))} is not known here`);
  }
  return check(REQUESTS[op as Request["op"]], header) as Request;
}

/** Whether a header ends a body. */
export function isClosing(header: Header): boolean {
  return header.end === true;
}

/**
 * The closing header of a body.
 *
 * @throws {FerryError} the sender's own error, where it closes with one; else `bad_header`
 */
export function parseClosing(header: Header, side: Place["side"] = "peer"): ClosingHeader {
  throwReported(header, side);
  return check(closing, header);
}

/**
 * Throws the error that a reply reports, if it reports one.
 *
 * @throws {FerryError} what the peer reported
 */
export function throwReported(header: Header, side: Place["side"] = "peer"): void {
  if (header.status === "error") throw reportedError(header, side);
}

/** The error that a peer reports by these keys. */
function reportedError(
  { code, message }: Readonly<Record<string, unknown>>,
  side: Place["side"],
): FerryError {
  const text = typeof message === "string" && message !== "" ? message : "the peer gave no reason";
  // A newer peer may have codes that are not known here; two of them say nothing of what a peer did.
  const known = isErrorCode(code) && code !== "usage" && code !== "unreachable";
  return FerryError.reported(known ? code : "internal", text, side);
}

/** The reply that reports an error. What nobody foresaw may name what is none of the peer's business. */
export function errorReply({ code, message }: FerryError): Record<string, unknown> {
  const told = code === "internal"
    ? "an unexpected error; the log of this side tells more"
    : message;
  return { status: "error", code, message: told };
}

/** A size that came over the wire, as a number; no storage here takes more than 2^53-1 bytes. */
const fileSize = v.pipe(
  wireSize,
  v.maxValue(BigInt(Number.MAX_SAFE_INTEGER), "is more than 2^53-1"),
  v.transform(Number),
);
const ok = v.literal("ok", "is neither ok nor error");

const entry = v.object({
  filename: string,
  type: v.picklist(["file", "directory"], "is neither file nor directory"),
  size: fileSize,
  mtime,
  mode,
  checksum,
});

const omission = v.object({
  omitted: string,
  code: v.optional(string),
  message: v.optional(string),
});

/** Why something is left out, by the keys of a line. */
function readOmitted({ omitted, code, message }: v.InferOutput<typeof omission>): Omitted {
  if (omitted !== "error") return omitted;
  return reportedError({ code, message }, "server");
}

const replies = {
  done: v.object({ status: ok }),
  ping: v.object({
    status: ok,
    problem: v.optional(string),
    shortcomings: v.optional(v.array(string), () => []),
  }),
  hello: v.object({
    status: ok,
    version: integer(0, 2 ** 31 - 1),
    features,
    idle_ms,
    auth: v.optional(string, "none"),
    agent: v.optional(string, "unknown"),
    scram: v.optional(string),
    scopes: v.optional(v.array(string), () => []),
  }),
  auth: v.object({
    status: ok,
    scram: string,
    scopes: v.optional(v.array(string), () => []),
  }),
  put: v.object({
    status: ok,
    filename: string,
    checksum: v.string("is missing"),
    size: fileSize,
    unchanged: v.optional(boolean, false),
    // A newer server may tell of more.
    unkept: v.optional(
      v.pipe(
        v.array(string),
        v.transform((kinds) => UNKEPT.filter((kind) => kinds.includes(kind))),
      ),
      () => [],
    ),
  }),
  offer: v.object({
    status: ok,
    decision: v.picklist(["send", "have", "hash"], "is none of send, have, hash"),
    checksum,
    size: v.optional(fileSize),
    offset: v.optional(fileSize, 0n),
    prefix_md5: v.nullish(knownMd5, null),
    prefix_xxh128: v.nullish(xxh128, null),
    prefix_state: v.nullish(knownMd5, null),
  }),
  get: v.object({
    status: ok,
    filename: string,
    size: fileSize,
    mtime,
    mode,
    offset: v.optional(fileSize, 0n),
    start: v.optional(fileSize),
  }),
  exec: v.object({
    status: ok,
    timeout_ms: v.optional(integer(1, MAX_TIMEOUT_MS), MAX_TIMEOUT_MS),
  }),
  part: v.object({
    filename: string,
    size: fileSize,
    received: fileSize,
    mtime,
    active: v.optional(boolean, false),
  }),
  entry,
  listed: v.lazy((line) => {
    const { omitted, type } = line as Header;
    if (omitted === undefined) return entry;
    return type === undefined ? omittedThing : omittedContent;
  }),
} as const;

const omittedThing = v.pipe(
  v.object({ filename: string, ...omission.entries }),
  v.transform(({ filename, ...keys }) => ({ filename, omitted: readOmitted(keys) })),
);

const omittedContent = v.pipe(
  v.object({ ...entry.entries, ...omission.entries }),
  v.transform(({ omitted, code, message, ...entry }) => ({
    ...entry,
    omitted: readOmitted({ omitted, code, message }),
  })),
);

const lineKeys = v.looseObject({
  md5: v.nullish(knownMd5),
  checksum: v.optional(checksumKey),
}, "is not an object");

/** Replies by what they answer. */
export interface Replies {
  /** Anything that is only done. */
  done: { status: "ok" };
  /** `ping`. */
  ping: PingReply;
  /** `hello`. */
  hello: HelloReply;
  /** `auth`. */
  auth: AuthReply;
  /** `put`. */
  put: PutReply;
  /** `put` with `offer`. */
  offer: OfferReply;
  /** `get`. */
  get: GetReply;
  /** `exec`. */
  exec: ExecReply;
  /** `stat`, and each line of a plain `list`. */
  entry: Entry;
  /** Each line of a `list` that tells also what is left out. */
  listed: Listed;
  /** Each line of a `list` of parts. */
  part: PartEntry;
}

/**
 * A reply of the kind that is expected.
 *
 * @throws {FerryError} what the peer reported, or `bad_header` that names the key
 */
export function parseReply<Kind extends keyof Replies>(kind: Kind, header: Header): Replies[Kind] {
  throwReported(header, "server");
  return check(replies[kind] as v.GenericSchema<unknown, unknown>, header) as Replies[Kind];
}

const piece = v.object({
  stream: v.picklist(["stdout", "stderr"], "is neither stdout nor stderr"),
});

const execEnd = v.object({
  exit_code: integer(0, 255),
  signal: v.nullish(string, null),
  timed_out: v.optional(boolean, false),
});

/**
 * Where the bytes of a piece of a command's output were written.
 *
 * @throws {FerryError} `bad_header`
 */
export function parseOutputStream(header: Header): OutputStream {
  return check(piece, header).stream;
}

/**
 * How a command ended, from the closing header behind its output.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function parseExecEnd(closing: Header): ExecEnd {
  return check(execEnd, closing);
}

/** An entry, an omission or a part as a line of JSON in a list. */
export function encodeLine(line: Listed | PartEntry): string {
  return JSON.stringify("received" in line ? line : listedKeys(line)) + "\n";
}

function listedKeys(listed: Listed): Readonly<Record<string, unknown>> {
  const { filename, omitted } = listed;
  if (omitted === undefined) return entryKeys(listed as Entry);
  const { omitted: _, ...entry } = listed.type === undefined ? { filename } : entryKeys(listed);
  if (typeof omitted === "string") return { ...entry, omitted };
  const { code, message } = errorReply(omitted);
  return { ...entry, omitted: "error", code, message };
}

/** An entry as the keys of a header or a line. */
export function entryKeys({ checksum, ...keys }: Entry): Readonly<Record<string, unknown>> {
  return { ...keys, ...checksumKeys(checksum && algorithmOf(checksum) || "md5", checksum) };
}

/**
 * An entry, an omission or a part from a line of a list.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function decodeLine<Kind extends "entry" | "listed" | "part">(
  kind: Kind,
  line: string,
): Replies[Kind] {
  let value: unknown;
  try {
    value = parseExact(line);
  } catch {
    throw new FerryError("bad_header", "a line of the list is not JSON");
  }
  const keys = check(lineKeys, value);
  const entry = { ...keys, ...readChecksum(keys) };
  return check(replies[kind] as v.GenericSchema<unknown, unknown>, entry) as Replies[Kind];
}

function check<Output>(schema: v.GenericSchema<unknown, Output>, value: unknown): Output {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const key = v.getDotPath(issue) ?? "the header";
  // Valibot's own words are kept for what has none here: a key that is missing.
  const missing = issue.received === "undefined" && issue.path !== undefined;
  throw new FerryError("bad_header", `${key} ${missing ? "is missing" : issue.message}`);
}
