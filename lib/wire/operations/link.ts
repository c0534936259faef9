/**
 * The operation `link`.
 *
 * @module
 */

import * as v from "valibot";
import { boolean, key, mtime, ok, overwrite, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("link"),
  filename: key(string, "The name that the link is to have."),
  target: key(
    string,
    "What it says: a relative path that stays in the directory that the client may write to.",
  ),
  overwrite: key(overwrite, "What to do when the name is taken."),
  mtime: key(
    v.optional(mtime),
    "The modification time of the link itself, in milliseconds since 1970.",
  ),
});

/** The header of a `link`. */
export type LinkRequest = v.InferOutput<typeof request>;

const reply = v.object({
  status: ok,
  filename: key(string, "The name on the server."),
  unchanged: key(
    v.optional(boolean, false),
    "Whether nothing was changed because what is there will do.",
  ),
});

/** The reply to a `link`. */
export interface LinkReply {
  /** Always `ok`: the reply does not report an error. */
  status: "ok";
  /** The name on the server. */
  filename: string;
  /** Whether nothing was changed because what is there will do. */
  unchanged: boolean;
}

/** Makes a symbolic link. */
export const link = {
  name: "link",
  description:
    "Makes a symbolic link, durable before it has its name. It may replace a file or a " +
    "link, and never a directory.",
  needs: () => [{ scope: "write", reach: "inside" }],
  request,
  reply,
} satisfies Operation<LinkRequest, LinkReply>;
