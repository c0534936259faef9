/**
 * `stat`: the entry of one name.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { StatRequest } from "../../../../lib/wire/operations/stat.ts";
import { entryKeys } from "../../../../lib/wire/entry_keys.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `stat`. */
export const stat: Handler<StatRequest> = {
  action: ({ filename }) => `stat ${quote(filename)}`,

  async answer(exchange) {
    const { filename, algorithm, version } = exchange.request;
    const { files } = exchange;
    return await exchange.reply(entryKeys(await files.stat(filename, algorithm, { version })));
  },
};
