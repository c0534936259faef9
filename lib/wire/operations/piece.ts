/**
 * The operation `piece`, which sends a part of a file that is being put together.
 *
 * @module
 */

import * as v from "valibot";
import { algorithm, type Done, done, fileSize, hex128, key, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("piece"),
  filename: key(string, "The name that the file is to have."),
  algorithm,
  id: key(hex128, "The id of the upload, from the reply to its `assemble`."),
  offset: key(fileSize, "The offset in the file at which the body begins."),
});

/** The header of a `piece`. */
export type PieceRequest = v.InferOutput<typeof request>;

/** Sends a part of a file. */
export const piece = {
  name: "piece",
  description:
    "Sends a part of a file that is being put together, over any connection of its owner.",
  needs: () => [{ scope: "write", reach: "inside" }],
  request,
  reply: done,
} satisfies Operation<PieceRequest, Done>;
