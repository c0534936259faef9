/**
 * The operation `auth`.
 *
 * @module
 */

import * as v from "valibot";
import { key, ok, string } from "../schema.ts";
import type { Operation } from "./operation.ts";

const request = v.object({
  op: v.literal("auth"),
  scram: key(string, "The client's first message of SCRAM, or its last."),
});

const reply = v.object({
  status: ok,
  scram: key(string, "The server's first message of SCRAM, or its last, which is its own proof."),
  scopes: key(
    v.optional(v.array(string), () => []),
    "What the client may do; empty before it has proven who it is.",
  ),
});

/** The header of an `auth`. */
export type AuthRequest = v.InferOutput<typeof request>;

/** The reply to an `auth`. */
export type AuthReply = v.InferOutput<typeof reply>;

/** Logs the client in with a token, and proves to the client that the server knows that token. */
export const auth = {
  name: "auth",
  description: "Proves by SCRAM that the client has a token, and to the client that the server " +
    "knows it. It takes one request for each message of the client.",
  needs: () => [],
  request,
  reply,
} satisfies Operation<AuthRequest, AuthReply>;
