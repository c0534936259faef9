/**
 * The operation `hello`.
 *
 * @module
 */

import * as v from "valibot";
import { MAX_LEVEL } from "../pieces.ts";
import { features, integer, key, ok, string, timeout } from "../schema.ts";
import type { Operation } from "./operation.ts";

/** The protocol version that this program speaks. */
export const PROTOCOL_VERSION = 1;

const version = integer(0, 2 ** 31 - 1);

const request = v.object({
  op: v.literal("hello"),
  versions: key(
    v.pipe(v.array(version, "is not an array"), v.maxLength(64, "has more than 64 items")),
    "The versions of the protocol that the client speaks, in any order.",
  ),
  features: key(
    features,
    "The optional parts of the protocol that the client uses if the server has them.",
  ),
  idle_ms: key(
    v.optional(timeout, 60_000),
    "Milliseconds of silence after which the client takes the connection for ended.",
  ),
  scram: key(v.optional(string), "The client's first message of SCRAM, where it has a token."),
  zstd_level: key(
    v.optional(integer(1, MAX_LEVEL)),
    "The level at which the server is to compress, if it does; it may choose a lower one.",
  ),
});

/** The header of a `hello`. */
export type HelloRequest = v.InferOutput<typeof request>;

/** The reply to a `hello`. */
export interface HelloReply {
  /** The protocol version that both sides speak. */
  version: number;
  /** The optional features of the protocol that the server supports. */
  features: string[];
  /** The idle timeout of the server, in milliseconds. */
  idle_ms: number;
  /** The SASL mechanism by which clients log in; `none` if there is no login. */
  auth: string;
  /** The server's program and version. */
  agent: string;
  /** The id of the connection, which request ids begin with; undefined if the server gives none. */
  session?: string | undefined;
  /** The server's first SCRAM message, if the client sent its own. */
  scram?: string | undefined;
  /** The scopes that the client has without a token; empty if the server does not say. */
  scopes: string[];
}

/** Negotiates the version of the protocol, and the optional features that both sides support. */
export const hello = {
  name: "hello",
  description:
    "Agrees on a version of the protocol, and on the optional parts that both sides have. " +
    "It may begin to prove who the client is.",
  needs: () => [],
  request,
  reply: v.object({
    status: ok,
    version: key(version, "The version that both sides speak."),
    features: key(features, "The optional parts of the protocol that the server has."),
    idle_ms: key(
      v.optional(timeout, 60_000),
      "Milliseconds of silence after which the server takes the connection for ended.",
    ),
    auth: key(
      v.optional(string, "none"),
      "The mechanism by which a client proves who it is; `none` where the server asks nobody.",
    ),
    agent: key(v.optional(string, "unknown"), "The server's program and version."),
    session: key(
      v.optional(string),
      "The id of the connection, which the server's names of its requests begin with.",
    ),
    scram: key(
      v.optional(string),
      "The server's first message of SCRAM, where the client sent its own.",
    ),
    scopes: key(
      v.optional(v.array(string), () => []),
      "What the client may do without a token.",
    ),
  }),
} satisfies Operation<HelloRequest, HelloReply>;
