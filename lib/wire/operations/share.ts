/**
 * The operation `share`.
 *
 * @module
 */

import * as v from "valibot";
import { boolean, key, ok, string } from "../schema.ts";
import type { SharedLink } from "../../core/share_link.ts";
import { downloads, lifetime, shareKeys } from "../share_keys.ts";
import type { Operation } from "./operation.ts";

/** How long a link is valid by default, in milliseconds: 7 days. */
const DEFAULT_LIFETIME_MS = 7 * 24 * 60 * 60 * 1000;

const request = v.object({
  op: v.literal("share"),
  filename: key(string, 'The file or directory; "" is the root.'),
  upload: key(
    v.optional(boolean, false),
    "Whether the link is to let upload into the directory, and show nothing of it.",
  ),
  expires_in: key(
    v.optional(v.nullable(lifetime), DEFAULT_LIFETIME_MS),
    "How long the link is valid, in milliseconds; null for ever.",
  ),
  downloads: key(
    v.optional(v.nullable(downloads), null),
    "How many downloads it allows; null for any number.",
  ),
});

/** The header of a `share`. */
export type ShareRequest = v.InferOutput<typeof request>;

/** Makes a link that lets others download or upload without a token. */
export const share = {
  name: "share",
  description: "Makes a link by which others can download a file or directory, or upload into a " +
    "directory, without a token.",
  needs: ({ upload }) => [{ scope: upload ? "write" : "read", reach: "directory" }],
  request,
  reply: v.object({ status: ok, ...shareKeys.entries }),
} satisfies Operation<ShareRequest, SharedLink>;
