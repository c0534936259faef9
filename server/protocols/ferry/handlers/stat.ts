/**
 * `stat`: what is known of one name.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import { entryKeys, type StatRequest } from "../../../../lib/wire/header.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `stat`. */
export const stat: Handler<StatRequest> = {
  action: ({ filename }) => `stat ${quote(filename)}`,

  async answer(exchange) {
    const { filename, algorithm } = exchange.request;
    return await exchange.reply(entryKeys(await exchange.files.stat(filename, algorithm)));
  },
};
