/**
 * The operation `discard`.
 *
 * @module
 */

import * as v from "valibot";
import { type Done, done, key, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("discard"),
  filename: key(string, "The name that the file was to have."),
});

/** The header of a `discard`. */
export type DiscardRequest = v.InferOutput<typeof request>;

/** Removes partial uploads. */
export const discard = {
  name: "discard",
  description: "Removes the client's own partial uploads of a file.",
  // A client that may upload a file may discard its own partial upload of it.
  needs: () => [{ scope: "write", reach: "inside" }],
  request,
  reply: done,
} satisfies Operation<DiscardRequest, Done>;
