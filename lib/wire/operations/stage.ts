/**
 * The operation `stage`, by which a client begins to put a directory together that is to be published as one.
 *
 * @module
 */

import * as v from "valibot";
import { boolean, key, ok, stageId, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("stage"),
  filename: key(string, "The directory, by the name that it will have."),
  replace: key(
    v.optional(boolean, false),
    "Whether it will replace a directory that has the name. Without this, one is refused as `exists`.",
  ),
  stage: key(
    v.optional(stageId),
    "The staged tree that the client works on already, over another connection.",
  ),
  ask: key(
    v.optional(boolean, false),
    "Whether this only asks if the directory could be published. Nothing is made then.",
  ),
});

/** The header of a `stage`. */
export type StageRequest = v.InferOutput<typeof request>;

/** The reply to a `stage`. */
export interface StageReply {
  /** Always `ok`: the reply does not report an error. */
  status: "ok";
  /** The id of the staged tree; absent in the reply to a question. */
  stage?: string | undefined;
  /** Whether a directory has the name now. */
  exists: boolean;
  /** Whether the tree contains files of an earlier attempt. */
  resumed: boolean;
}

/** Begins to put a directory together. */
export const stage = {
  name: "stage",
  description:
    "Begins to put a directory together that nobody sees before it is published, or goes on " +
    "with one. Where a directory has the name, the scope `delete` is needed as well.",
  needs: () => [{ scope: "write", reach: "inside" }],
  request,
  reply: v.object({
    status: ok,
    stage: key(v.optional(stageId), "The id of the staged tree."),
    exists: key(v.optional(boolean, false), "Whether a directory has the name now."),
    resumed: key(
      v.optional(boolean, false),
      "Whether the tree contains files of an earlier attempt. Only those that are compared or " +
        "sent again are published.",
    ),
  }),
} satisfies Operation<StageRequest, StageReply>;
