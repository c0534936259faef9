/**
 * The handler of each operation.
 *
 * @module
 */

import type { Request } from "../../../lib/wire/operations/operations.ts";
import type { Handler } from "./exchange/exchange.ts";
import { auth } from "./handlers/auth.ts";
import { compare } from "./handlers/compare.ts";
import { discard } from "./handlers/discard.ts";
import { exec } from "./handlers/exec.ts";
import { get } from "./handlers/get.ts";
import { hello } from "./handlers/hello.ts";
import { list } from "./handlers/list.ts";
import { mkdir } from "./handlers/mkdir.ts";
import { move } from "./handlers/move.ts";
import { offer } from "./handlers/offer.ts";
import { ping } from "./handlers/ping.ts";
import { put } from "./handlers/put.ts";
import { remove } from "./handlers/remove.ts";
import { stat } from "./handlers/stat.ts";

type Handlers = { readonly [Op in Request["op"]]: Handler<Extract<Request, { op: Op }>> };

const HANDLERS: Handlers = {
  auth,
  compare,
  discard,
  exec,
  get,
  hello,
  list,
  mkdir,
  move,
  ping,
  put,
  remove,
  stat,
};

/** What answers a request. */
export function handlerOf(request: Request): Handler<Request> {
  const handler = request.op === "put" && request.offer ? offer : HANDLERS[request.op];
  // The table says which request belongs to which handler; the compiler cannot tell that from a variable.
  return handler as Handler<Request>;
}
