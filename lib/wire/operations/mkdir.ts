/**
 * The operation `mkdir`.
 *
 * @module
 */

import * as v from "valibot";
import { type Done, done, key, stageId, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("mkdir"),
  filename: key(string, "The directory."),
  stage: key(v.optional(stageId), "The staged tree that it is made in."),
});

/** The header of a `mkdir`. */
export type MkdirRequest = v.InferOutput<typeof request>;

/** Creates a directory. */
export const mkdir = {
  name: "mkdir",
  description: "Makes a directory, and those above it.",
  needs: () => [{ scope: "write", reach: "directory" }],
  request,
  reply: done,
} satisfies Operation<MkdirRequest, Done>;
