/**
 * The operation `signature`.
 *
 * @module
 */

import * as v from "valibot";
import {
  algorithm,
  boolean,
  contentVersion,
  fileSize,
  integer,
  key,
  mode,
  mtime,
  ok,
  string,
} from "../schema.ts";
import type { Operation } from "./operation.ts";

/** The sizes that the blocks of a signature can have, in bytes: the powers of two from 64 to 64 MiB. */
const BLOCK_SIZES: readonly number[] = Array.from({ length: 21 }, (_, at) => 64 * 2 ** at);

const request = v.object({
  op: v.literal("signature"),
  filename: key(string, "The file."),
  algorithm,
  block: key(
    v.picklist(BLOCK_SIZES, "is no power of two from 64 to 67108864"),
    "The size of the blocks in bytes.",
  ),
  rolling: key(
    v.optional(boolean, false),
    "Whether each strong hash is preceded by the weak hash of its block.",
  ),
  version: key(
    v.optional(contentVersion),
    "The version that the file has to have still, as an earlier reply told it.",
  ),
});

/** The header of a `signature`. */
export type SignatureRequest = v.InferOutput<typeof request>;

const reply = v.object({
  status: ok,
  filename: key(string, "The name on the server."),
  size: key(fileSize, "The file's size in bytes."),
  mtime: key(mtime, "The modification time in milliseconds since 1970."),
  mode: key(mode, "The permission bits, 0 to 511 (0o777)."),
  version: key(contentVersion, "Names this state of the file's content."),
  strong: key(integer(4, 8), "How many bytes each strong hash has."),
});

/** The header of the reply to a `signature`, before the hashes. */
export type SignatureReply = v.InferOutput<typeof reply>;

/** Sends the hashes of the blocks of a file. */
export const signature = {
  name: "signature",
  description: "Sends the hashes of the blocks of a file, or of the ranges that the request's " +
    "body names, by which a client finds what the file has in common with its own.",
  needs: () => [{ scope: "read", reach: "inside" }],
  request,
  reply,
} satisfies Operation<SignatureRequest, SignatureReply>;
