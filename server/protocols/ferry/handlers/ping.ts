/**
 * `ping`: reports whether the server can serve files.
 *
 * @module
 */

import type { PingRequest } from "../../../../lib/wire/operations/ping.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `ping`. */
export const ping: Handler<PingRequest> = {
  action: () => "answer the ping",

  async answer(exchange) {
    const { problem, shortcomings } = await exchange.files.health();
    if (problem) return await exchange.reply({ problem: problem.message });
    return await exchange.reply(shortcomings.length === 0 ? {} : { shortcomings });
  },
};
