/**
 * The operation `unshare`.
 *
 * @module
 */

import * as v from "valibot";
import { type Done, done, key, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("unshare"),
  id: key(string, "The `id` of the link."),
});

/** The header of an `unshare`. */
export type UnshareRequest = v.InferOutput<typeof request>;

/** Takes back a share link. */
export const unshare = {
  name: "unshare",
  description: "Takes back a link that was made with the client's token. What uses it ends.",
  // Each client can take back its own links only.
  needs: () => [],
  request,
  reply: done,
} satisfies Operation<UnshareRequest, Done>;
