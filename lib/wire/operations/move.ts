/**
 * The operation `move`.
 *
 * @module
 */

import * as v from "valibot";
import { boolean, type Done, done, key, string } from "../schema.ts";
import type { Operation } from "./operation.ts";
import { within } from "./within.ts";

/** The feature of servers that know the key `keep`. */
export const MOVE_KEEP = "move-keep";

const request = v.object({
  op: v.literal("move"),
  filename: key(string, "The present name."),
  to: key(string, "The new name."),
  overwrite: key(
    v.optional(v.picklist(["never", "always"], "is none of never, always"), "never"),
    "What to do when the new name is taken: `always` replaces a file.",
  ),
  within,
  keep: key(
    v.optional(boolean, false),
    "Whether a file keeps its present name, and gets the new one as well.",
  ),
});

/** The header of a `move`. */
export type MoveRequest = v.InferOutput<typeof request>;

/** Renames a file or a directory. */
export const move = {
  name: "move",
  description: "Gives a file or a directory another name, in one step.",
  needs: () => [
    { scope: "delete", reach: "inside" },
    { scope: "write", reach: "inside", of: "to" },
  ],
  request,
  reply: done,
} satisfies Operation<MoveRequest, Done>;
