/**
 * The operation `remove`.
 *
 * @module
 */

import * as v from "valibot";
import { boolean, type Done, done, key, string } from "../schema.ts";
import type { Operation } from "./operation.ts";
import { within } from "./within.ts";

const request = v.object({
  op: v.literal("remove"),
  filename: key(string, "The file or directory."),
  recursive: key(
    v.optional(boolean, false),
    "Whether a directory may be removed with its content.",
  ),
  within,
});

/** The header of a `remove`. */
export type RemoveRequest = v.InferOutput<typeof request>;

/** Removes a file or a directory. */
export const remove = {
  name: "remove",
  description: "Removes a file; or a directory, with its content if that is allowed.",
  needs: () => [{ scope: "delete", reach: "inside" }],
  request,
  reply: done,
} satisfies Operation<RemoveRequest, Done>;
