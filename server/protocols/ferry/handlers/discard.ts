/**
 * `discard`: removes the client's partial uploads of a file.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { DiscardRequest } from "../../../../lib/wire/operations/discard.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `discard`. */
export const discard: Handler<DiscardRequest> = {
  action: ({ filename }) => `remove the partial upload of ${quote(filename)}`,

  async answer(exchange) {
    const { filename } = exchange.request;
    await exchange.uploads.partials.discard(filename);
    return await exchange.reply({ filename });
  },
};
