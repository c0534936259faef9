/**
 * `shares`: the links that were made with the client's token, one line each.
 *
 * @module
 */

import type { SharesRequest } from "../../../../lib/wire/operations/shares.ts";
import { encodeLines } from "../../../../lib/wire/lines.ts";
import type { Handler } from "../exchange/exchange.ts";
import { linkKeys, linksOf } from "./share.ts";

/** Answers a `shares`. */
export const shares: Handler<SharesRequest> = {
  action: () => "list share links",

  async answer(exchange) {
    const links = linksOf(exchange.connection);
    const all = await links.shares.list(exchange.permit);
    const pieces = encodeLines(all, (share) => `${JSON.stringify(linkKeys(share, links))}\n`);
    return await exchange.streamPieces({ pieces });
  },
};
