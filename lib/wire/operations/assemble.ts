/**
 * The operation `assemble`, by which a client begins an upload whose bytes come in pieces, over several connections.
 *
 * @module
 */

import * as v from "valibot";
import { algorithm, fileSize, hex128, key, ok, overwrite, stageId, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("assemble"),
  filename: key(string, "The name that the file is to have."),
  algorithm,
  size: key(fileSize, "The whole file's size in bytes."),
  offset: key(
    v.optional(fileSize, 0n),
    "How many bytes of a partial upload that the server offered are kept.",
  ),
  overwrite: key(overwrite, "What to do when the name is taken."),
  stage: key(v.optional(stageId), "The staged tree that the file is put into."),
});

/** The header of an `assemble`. */
export type AssembleRequest = v.InferOutput<typeof request>;

const piece = v.object({
  offset: key(fileSize, "The offset of its first byte."),
  size: key(fileSize, "Its size in bytes."),
  xxh128: key(hex128, "Its XXH3-128."),
});

/** The reply to an `assemble`. */
export interface AssembleReply {
  /** Always `ok`: the reply does not report an error. */
  status: "ok";
  /** The id by which pieces name the upload; absent where the server takes the file only from its start to its end. */
  id?: string | undefined;
  /** The pieces beyond the first `offset` bytes that the server has from an earlier attempt, in ascending order. */
  pieces: { offset: number; size: number; xxh128: string }[];
}

/** Begins an upload whose bytes come in pieces. */
export const assemble = {
  name: "assemble",
  description:
    "Begins the upload of a file whose bytes come in pieces, over any connections. A `put` " +
    "with all bytes as its `offset` ends it.",
  needs: () => [{ scope: "write", reach: "inside" }],
  request,
  reply: v.object({
    status: ok,
    id: key(
      v.optional(hex128),
      "The id by which pieces name the upload; absent where the file can only be sent as a whole.",
    ),
    pieces: key(
      v.optional(v.array(piece), () => []),
      "The pieces beyond `offset` that the server has from an earlier attempt.",
    ),
  }),
} satisfies Operation<AssembleRequest, AssembleReply>;
