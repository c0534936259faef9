/**
 * The operation `get`.
 *
 * @module
 */

import * as v from "valibot";
import {
  algorithm,
  algorithmOrChecksum,
  boolean,
  contentVersion,
  fileSize,
  hex128,
  key,
  mode,
  mtime,
  ok,
  string,
  wireSize,
} from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.pipe(
  v.object({
    op: v.literal("get"),
    filename: key(string, "The file."),
    algorithm,
    offset: key(
      v.optional(wireSize, 0n),
      "How many of the file's first bytes the client has. They are not sent if a checksum proves them.",
    ),
    if_md5: key(v.nullish(hex128, null), "The md5 of the whole file that those bytes are of."),
    if_checksum: key(
      v.optional(algorithmOrChecksum),
      "The checksum of the whole file that those bytes are of, instead of `if_md5`.",
    ),
    prefix_md5: key(v.nullish(hex128, null), "The md5 of those bytes."),
    prefix_xxh128: key(v.nullish(hex128, null), "The XXH3-128 of those bytes."),
    start: key(
      v.optional(wireSize),
      "The first byte of a range. With `start` or `count` only that range is sent.",
    ),
    count: key(
      v.optional(wireSize),
      "How many bytes the range has; all from the first one on where it is absent.",
    ),
    version: key(
      v.optional(contentVersion),
      "The version that the file has to have still. Without `start` and `count`, the ranges in the request's body are sent.",
    ),
  }),
  v.check(
    ({ offset, start, count }) => offset === 0n || start === undefined && count === undefined,
    "has both an offset and a range",
  ),
  v.check(
    ({ version, offset }) => version === undefined || offset === 0n,
    "has both a version and an offset",
  ),
  v.transform(({ if_md5, if_checksum, ...get }) => ({
    ...get,
    ifChecksum: if_checksum ?? if_md5,
  })),
);

/** The header of a `get`. */
export type GetRequest = v.InferOutput<typeof request>;

/** Whether a `get` asks for one range of a file. */
export function isRange({ start, count }: GetRequest): boolean {
  return start !== undefined || count !== undefined;
}

const reply = v.object({
  status: ok,
  filename: key(string, "The name on the server."),
  size: key(fileSize, "The whole file's size in bytes."),
  mtime: key(mtime, "The modification time in milliseconds since 1970."),
  mode: key(mode, "The permission bits, 0 to 511 (0o777)."),
  offset: key(
    v.optional(fileSize, 0n),
    "How many bytes of the file precede the body, which the client has already.",
  ),
  start: key(
    v.optional(fileSize),
    "The first byte of the range that the body is; absent where the body is no range.",
  ),
  version: key(v.optional(contentVersion), "The version of the file that the range is of."),
  ranges: key(
    v.optional(boolean, false),
    "Whether the body is the ranges that the request's body names, one after another.",
  ),
});

/** The header of the reply to a `get`, before the file's bytes. */
export type GetReply = v.InferOutput<typeof reply>;

/** Sends a file, the rest of a file, or a range of it. */
export const get = {
  name: "get",
  description: "Sends a file as the body of the reply; or the rest of a file of which the client " +
    "has the beginning, or a range of it.",
  needs: () => [{ scope: "read", reach: "inside" }],
  request,
  reply,
} satisfies Operation<GetRequest, GetReply>;
