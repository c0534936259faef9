/**
 * The operation `ping`.
 *
 * @module
 */

import * as v from "valibot";
import { key, ok, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({ op: v.literal("ping") });

/** The header of a `ping`. */
export type PingRequest = v.InferOutput<typeof request>;

/** The reply to a `ping`. */
export interface PingReply {
  /** What prevents the server from serving files; undefined if nothing does. */
  problem?: string | undefined;
  /** What the server cannot guarantee on its file system, as English sentences. */
  shortcomings: string[];
}

/** Checks that the server responds, and whether it can serve files. */
export const ping = {
  name: "ping",
  description: "Asks for nothing but an answer, which tells also whether the server can serve.",
  needs: () => [],
  request,
  reply: v.object({
    status: ok,
    problem: key(
      v.optional(string),
      "What keeps the server from serving files; absent where nothing does.",
    ),
    shortcomings: key(
      v.optional(v.array(string), () => []),
      "What the server cannot promise on its file system, as sentences.",
    ),
  }),
} satisfies Operation<PingRequest, PingReply>;
