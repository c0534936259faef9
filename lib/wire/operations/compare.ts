/**
 * The operation `compare`. The lines of its bodies are in `manifest.ts`.
 *
 * @module
 */

import * as v from "valibot";
import { boolean, type Done, done, key, overwrite, stageId, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("compare"),
  overwrite: key(overwrite, "What the client does where a name is taken."),
  content: key(
    v.optional(boolean, false),
    "Whether only a checksum proves that two files are the same, not their size and time.",
  ),
  known: key(
    v.optional(boolean, false),
    "Whether the answers also say which files need not be sent because others have their content.",
  ),
  filename: key(v.optional(string), "With `stage`: the directory that is put together."),
  stage: key(
    v.optional(stageId),
    "The staged tree that the files are for. Those that are the same in the directory that it " +
      "will replace become part of it.",
  ),
  keep: key(
    v.optional(boolean, false),
    "With `stage`: whether what has the names now becomes part of it as it is, whatever the lines say.",
  ),
});

/** The header of a `compare`. */
export type CompareRequest = v.InferOutput<typeof request>;

/** Finds out which of many files a client would have to send. */
export const compare = {
  name: "compare",
  description: "Tells which of the files in the lines of the request's body a client would have " +
    "to send: the reply's body has a line for each of these.",
  // A compare reveals which files exist, and whether the others could be written, so it needs both scopes.
  needs: ({ filename }) => {
    const reach = filename === undefined ? "somewhere" : "inside";
    return [{ scope: "read", reach }, { scope: "write", reach }];
  },
  request,
  reply: done,
} satisfies Operation<CompareRequest, Done>;
