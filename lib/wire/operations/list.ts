/**
 * The operation `list`.
 *
 * @module
 */

import * as v from "valibot";
import { LIST_LINES } from "../list_lines.ts";
import { boolean, type Done, done, key, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("list"),
  filename: key(v.optional(string, ""), 'The directory; "" is the root.'),
  recursive: key(v.optional(boolean, false), "Whether to list what is in its directories, too."),
  parts: key(
    v.optional(boolean, false),
    "Whether to list the client's partial uploads instead, wherever they belong.",
  ),
  omitted: key(
    v.optional(boolean, false),
    "Whether to tell also what is left out of the list, and why.",
  ),
  ids: key(
    v.optional(boolean, false),
    "Whether to tell which names are of one file, as hard links are.",
  ),
  links: key(
    v.optional(boolean, false),
    "Whether to show symbolic links as such, and not what they lead to.",
  ),
});

/** The header of a `list`. */
export type ListRequest = v.InferOutput<typeof request>;

/** Lists a directory. */
export const list = {
  name: "list",
  description: "Lists a directory: the reply's body has a line of JSON for each entry. " +
    "With `parts` it lists the client's partial uploads.",
  needs: ({ filename, parts }) => [
    { scope: "read", reach: parts && !filename ? "somewhere" : "directory" },
  ],
  request,
  reply: done,
  lines: LIST_LINES,
} satisfies Operation<ListRequest, Done>;
