/**
 * `unshare`: takes back a link.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { UnshareRequest } from "../../../../lib/wire/operations/unshare.ts";
import type { Handler } from "../exchange/exchange.ts";
import { linksOf } from "./share.ts";

/** Answers an `unshare`. */
export const unshare: Handler<UnshareRequest> = {
  action: ({ id }) => `take back the link ${quote(id)}`,

  async answer(exchange) {
    const { connection, permit, request: { id } } = exchange;
    await linksOf(connection).shares.revoke(permit, id);
    return await exchange.reply({ id });
  },
};
