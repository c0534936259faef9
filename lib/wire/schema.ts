/**
 * Valibot schemas for the values of header keys, and the validation of a header against them.
 *
 * Each failure is a `bad_header` that names the key. The schemas are also the source of the JSON Schemas of the
 * protocol's documentation, so values are described by standard valibot actions if possible.
 *
 * @module
 */

import * as v from "valibot";
import { ALGORITHMS } from "../core/checksum.ts";
import { FerryError } from "../core/errors.ts";
import { MAX_TIMEOUT_MS } from "../core/number_options.ts";
import { OVERWRITE_POLICIES } from "../core/overwrite.ts";

/** A schema for input from a peer. */
export type Schema<Output> = v.GenericSchema<unknown, Output>;

/** The largest size on the wire: 2^63-1. */
export const MAX_WIRE_SIZE: bigint = 2n ** 63n - 1n;

/**
 * Validates a value, and returns it with the defaults of absent keys.
 *
 * @throws {FerryError} `bad_header` that names the first key that is not valid
 */
export function check<Output>(schema: Schema<Output>, value: unknown): Output {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const key = v.getDotPath(issue) ?? "the header";
  // A missing key has no message of its own in the schemas; it is recognised by valibot's issue.
  const missing = issue.received === "undefined" && issue.path !== undefined;
  throw new FerryError("bad_header", `${key} ${missing ? "is missing" : issue.message}`);
}

/** A key's schema with a description for the protocol's documentation. */
export function key<const Key extends v.GenericSchema>(schema: Key, description: string) {
  return v.pipe(schema, v.description(description));
}

export const string = v.string("is not a string");

export const boolean = v.boolean("is not a boolean");

/** A 64-bit size or offset. */
export const wireSize = v.pipe(
  v.bigint("is not an integer"),
  v.minValue(0n, "is negative"),
  v.maxValue(MAX_WIRE_SIZE, "is more than 2^63-1"),
);

/** A size or an offset as a number: no storage accepts files of more than 2^53-1 bytes. */
export const fileSize = v.pipe(
  wireSize,
  v.maxValue(BigInt(Number.MAX_SAFE_INTEGER), "is more than 2^53-1"),
  v.transform(Number),
);

/** An integer between `min` and `max`, inclusive. */
export function integer(min: number, max: number) {
  return v.pipe(
    v.number("is not a number"),
    v.integer("is not an integer"),
    v.minValue(min, `is less than ${min}`),
    v.maxValue(max, `is more than ${max}`),
  );
}

/** A timeout in milliseconds, at most as long as a timer can wait. */
export const timeout = integer(1, MAX_TIMEOUT_MS);

/** Converts milliseconds to a valid value of a {@linkcode timeout} key. */
export function timeoutKey(ms: number): number {
  return Math.min(Math.max(1, Math.floor(ms)), MAX_TIMEOUT_MS);
}

/** Milliseconds since 1970 in JavaScript's range of times (ECMA-262, "Time Values and Time Range"). */
export const mtime = integer(-8.64e15, 8.64e15);

/** The permission bits of a file. */
export const mode = integer(0, 0o777);

/** The maximum length of the id of a staged tree, in characters. */
const MAX_STAGE_ID = 4096;

/** The id of a staged tree. */
export const stageId = v.pipe(
  string,
  v.minLength(1, "is empty"),
  v.maxLength(MAX_STAGE_ID, `has more than ${MAX_STAGE_ID} characters`),
);

/** 128 bits in hexadecimal: an MD5, an XXH3-128, or the state of an MD5. */
export const hex128 = v.pipe(
  string,
  v.regex(/^[0-9a-f]{32}$/, "is not 32 lower-case hexadecimal digits"),
);

/** The name of an algorithm, or a checksum with its algorithm. */
export const algorithmOrChecksum = v.pipe(
  string,
  v.regex(
    /^(?:md5|[0-9a-f]{32}|sha256(?::[0-9a-f]{64})?|xxh128(?::[0-9a-f]{32})?)$/,
    `is none of ${ALGORITHMS.join(", ")}, nor a checksum of theirs`,
  ),
);

/** The algorithm of a decoded header, which was already checked. */
export const algorithm = v.picklist(ALGORITHMS);

/** The checksum of a decoded header, which was already checked; null if it is not known. */
export const checksum = v.nullable(string);

/** The checksum of a decoded header that has to have one. */
export const knownChecksum = v.string("is missing");

/** The longest name of a state of a file's content, in characters. */
export const MAX_VERSION_LENGTH = 128;

/** An opaque name of a state of a file's content. */
export const contentVersion = v.pipe(
  string,
  v.maxLength(MAX_VERSION_LENGTH, `is longer than ${MAX_VERSION_LENGTH} characters`),
);

/** The overwrite policy: what to do if a name is taken. */
export const overwrite = v.optional(
  v.picklist(OVERWRITE_POLICIES, `is none of ${OVERWRITE_POLICIES.join(", ")}`),
  "never",
);

/** The optional features of the protocol that one side of a connection supports. */
export const features = v.optional(v.array(string), () => []);

/** The `status` of a reply that does not report an error. */
export const ok = v.literal("ok", "is neither ok nor error");

/** The reply to a request that has no result but success. */
export const done = v.object({ status: ok });

/** The type of {@linkcode done}. */
export type Done = v.InferOutput<typeof done>;
