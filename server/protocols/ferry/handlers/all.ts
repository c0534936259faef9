/**
 * The handlers of all operations. A new handler is a file of this directory and a line here.
 *
 * @module
 */

import { isRange } from "../../../../lib/wire/operations/get.ts";
import type { Request } from "../../../../lib/wire/operations/operations.ts";
import type { Handler } from "../exchange/exchange.ts";
import { assemble } from "./assemble.ts";
import { auth } from "./auth.ts";
import { compare } from "./compare.ts";
import { discard } from "./discard.ts";
import { exec } from "./exec.ts";
import { get } from "./get.ts";
import { getRanges } from "./get_ranges.ts";
import { hello } from "./hello.ts";
import { link } from "./link.ts";
import { list } from "./list.ts";
import { mkdir } from "./mkdir.ts";
import { move } from "./move.ts";
import { offer } from "./offer.ts";
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

type Handlers = { readonly [Op in Request["op"]]: Handler<Extract<Request, { op: Op }>> };

const HANDLERS: Handlers = {
  assemble,
  auth,
  compare,
  discard,
  exec,
  get,
  hello,
  link,
  list,
  mkdir,
  move,
  piece,
  ping,
  publish,
  put,
  receipt,
  remove,
  share,
  shares,
  signature,
  stage,
  stat,
  unshare,
  verify,
};

/** The handler for a request. */
export function handlerOf(request: Request): Handler<Request> {
  const handler = specialHandlerOf(request) ?? HANDLERS[request.op];
  // The table ensures that each handler fits its request; the compiler cannot infer that for a variable operation.
  return handler as Handler<Request>;
}

/** The handler for a form of an operation that has one of its own. */
function specialHandlerOf(request: Request) {
  if (request.op === "put" && request.offer) return offer;
  const isOfRanges = request.op === "get" && request.version !== undefined && !isRange(request);
  return isOfRanges ? getRanges : undefined;
}
