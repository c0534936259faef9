/**
 * All operations of the protocol. CONTRIBUTING.md lists under "Where to add" what a new operation needs besides its
 * file and its line here.
 *
 * @module
 */

import type * as v from "valibot";
import { FerryError } from "../../core/errors.ts";
import type { Header } from "../codec.ts";
import { throwReported } from "../error_reply.ts";
import { check, type Schema } from "../schema.ts";
import { assemble } from "./assemble.ts";
import { auth } from "./auth.ts";
import { compare } from "./compare.ts";
import { discard } from "./discard.ts";
import { exec } from "./exec.ts";
import { get } from "./get.ts";
import { hello } from "./hello.ts";
import { link } from "./link.ts";
import { list } from "./list.ts";
import { mkdir } from "./mkdir.ts";
import { move } from "./move.ts";
import type { Operation } from "./operation.ts";
import { piece } from "./piece.ts";
import { ping } from "./ping.ts";
import { publish } from "./publish.ts";
import { put } from "./put.ts";
import { receipt } from "./receipt.ts";
import { remove } from "./remove.ts";
import { share } from "./share.ts";
import { shares } from "./shares.ts";
import { signature } from "./signature.ts";
import { stage } from "./stage.ts";
import { stat } from "./stat.ts";
import { unshare } from "./unshare.ts";
import { verify } from "./verify.ts";

/** The operations by their names. */
export const OPERATIONS = {
  hello,
  auth,
  ping,
  put,
  get,
  link,
  list,
  stat,
  mkdir,
  remove,
  discard,
  move,
  compare,
  exec,
  share,
  shares,
  unshare,
  signature,
  stage,
  publish,
  assemble,
  piece,
  verify,
  receipt,
} satisfies Readonly<Record<string, Operation<unknown, unknown>>>;

/** The name of an operation. */
export type OperationName = keyof typeof OPERATIONS;

/** The header of a request of any operation. */
export type Request = {
  [Name in OperationName]: v.InferOutput<(typeof OPERATIONS)[Name]["request"]>;
}[OperationName];

/**
 * Parses the header of a request.
 *
 * @throws {FerryError} `bad_header` that names the key, or the unknown operation
 */
export function parseRequest(header: Header): Request {
  const { op } = header;
  if (typeof op !== "string") throw new FerryError("bad_header", "op is missing or not a string");
  if (!Object.hasOwn(OPERATIONS, op)) {
    throw new FerryError("bad_header", `op ${JSON.stringify(op.slice(0, 32))} is not known here`);
  }
  return check<Request>(OPERATIONS[op as OperationName].request, header);
}

/**
 * Parses the header of a reply.
 *
 * @param schema the expected header: `reply` of an operation, or another of its headers
 * @throws {FerryError} the error that the server reported, or `bad_header` that names the key
 */
export function parseReply<Reply>(schema: Schema<Reply>, header: Header): Reply {
  throwReported(header, "server");
  return check(schema, header);
}
