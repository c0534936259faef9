/**
 * The operation `verify`.
 *
 * @module
 */

import * as v from "valibot";
import { VERDICTS } from "../../core/verdict.ts";
import { algorithm, fileSize, key, knownChecksum, mtime, ok, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("verify"),
  filename: key(string, "The file."),
  algorithm,
});

/** The header of a `verify`. */
export type VerifyRequest = v.InferOutput<typeof request>;

const reply = v.object({
  status: ok,
  filename: key(string, "The name on the server."),
  size: key(fileSize, "The file's size in bytes."),
  mtime: key(mtime, "The modification time in milliseconds since 1970."),
  checksum: knownChecksum,
  verdict: key(
    v.picklist(VERDICTS, `is none of ${VERDICTS.join(", ")}`),
    "Whether these are the bytes whose checksum the server has recorded, others although no " +
      "program has changed the file, or there was no record.",
  ),
});

/** The header of the reply to a `verify`. */
export type VerifyReply = v.InferOutput<typeof reply>;

/** Reads a file again. */
export const verify = {
  name: "verify",
  description: "Reads all bytes of a file again, whatever is known of it, and compares them with " +
    "the checksum that the server has recorded.",
  needs: () => [{ scope: "read", reach: "inside" }],
  request,
  reply,
} satisfies Operation<VerifyRequest, VerifyReply>;
