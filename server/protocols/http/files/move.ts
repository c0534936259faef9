/**
 * `POST /.ferry/api/move`: renames a file or a directory.
 *
 * @module
 */

import * as v from "valibot";
import type { Handler } from "../exchange/exchange.ts";
import { readJson } from "../exchange/json_body.ts";

const MOVE = v.strictObject({
  from: v.string(),
  to: v.string(),
  overwrite: v.optional(v.boolean(), false),
});

/** Answers a move. */
export const move: Handler = async (exchange) => {
  const { from, to, overwrite } = await readJson(exchange, MOVE);
  const [filename, target] = [exchange.nameOf(from), exchange.nameOf(to)];
  const permit = exchange.permit({ op: "move", filename, to: target });
  await exchange.files(permit).move(filename, target, { replace: overwrite });
  exchange.send(204, { location: exchange.linkTo(target) ?? "" });
};
