/**
 * The operation `shares`.
 *
 * @module
 */

import * as v from "valibot";
import { type Done, done } from "../schema.ts";
import { shareKeys } from "../share_keys.ts";
import type { Operation } from "./operation.ts";

const request = v.object({ op: v.literal("shares") });

/** The header of a `shares`. */
export type SharesRequest = v.InferOutput<typeof request>;

/** Lists the client's share links. */
export const shares = {
  name: "shares",
  description: "Lists the links that were made with the client's token: the reply's body has a " +
    "line of JSON for each.",
  // Each client sees its own links only.
  needs: () => [],
  request,
  reply: done,
  lines: { share: shareKeys },
} satisfies Operation<SharesRequest, Done>;
