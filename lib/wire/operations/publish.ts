/**
 * The operation `publish`, which gives a staged tree its name.
 *
 * @module
 */

import * as v from "valibot";
import { boolean, integer, key, ok, stageId, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("publish"),
  filename: key(string, "The directory, as in the `stage` that has begun it."),
  stage: key(stageId, "The staged tree."),
  replace: key(
    v.optional(boolean, false),
    "Whether it replaces a directory that has the name. Without this, one is refused as `exists`.",
  ),
});

/** The header of a `publish`. */
export type PublishRequest = v.InferOutput<typeof request>;

/** The reply to a `publish`. */
export interface PublishReply {
  /** Always `ok`: the reply does not report an error. */
  status: "ok";
  /** The directory. */
  filename: string;
  /** How many files are in it. */
  files: number;
  /** Their size in bytes. */
  bytes: number;
  /** Whether it has replaced a directory. */
  replaced: boolean;
}

/** Publishes a directory as one. */
export const publish = {
  name: "publish",
  description:
    "Gives a directory that was put together its name, whole and durable. Where it replaces " +
    "another one, the scope `delete` is needed as well.",
  needs: () => [{ scope: "write", reach: "inside" }],
  request,
  reply: v.object({
    status: ok,
    filename: key(string, "The directory."),
    files: key(integer(0, Number.MAX_SAFE_INTEGER), "How many files are in it."),
    bytes: key(integer(0, Number.MAX_SAFE_INTEGER), "Their size in bytes."),
    replaced: key(v.optional(boolean, false), "Whether it has replaced a directory."),
  }),
} satisfies Operation<PublishRequest, PublishReply>;
