/**
 * The operation `receipt`.
 *
 * @module
 */

import * as v from "valibot";
import { algorithm, checksum, fileSize, key, ok, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("receipt"),
  filename: key(string, "The file."),
  size: key(fileSize, "The size in bytes that it should have."),
  checksum,
  algorithm,
});

/** The header of a `receipt`. */
export type ReceiptRequest = v.InferOutput<typeof request>;

const reply = v.object({
  status: ok,
  filename: key(string, "The name on the server."),
  receipt: key(string, "The receipt: JSON, signed if the server has a certificate."),
});

/** The header of the reply to a `receipt`. */
export type ReceiptReply = v.InferOutput<typeof reply>;

/** Confirms what is stored. */
export const receipt = {
  name: "receipt",
  description: "Confirms that a file is stored, by a statement that the server signs.",
  needs: () => [{ scope: "write", reach: "inside" }],
  request,
  reply,
} satisfies Operation<ReceiptRequest, ReceiptReply>;
