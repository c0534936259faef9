/**
 * The operation `stat`.
 *
 * @module
 */

import * as v from "valibot";
import type { Entry } from "../../core/entry.ts";
import { entry } from "../entry_keys.ts";
import { algorithm, contentVersion, key, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("stat"),
  filename: key(string, 'The name of a file or a directory; "" is the root.'),
  algorithm,
  version: key(v.optional(contentVersion), "The version that the file has to have still."),
});

/** The header of a `stat`. */
export type StatRequest = v.InferOutput<typeof request>;

/** Describes one file or directory. */
export const stat = {
  name: "stat",
  description: "Describes one file, with its checksum, or one directory.",
  needs: () => [{ scope: "read", reach: "directory" }],
  request,
  reply: entry,
} satisfies Operation<StatRequest, Entry>;
