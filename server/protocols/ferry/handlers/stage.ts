/**
 * `stage`: begins to put a directory together that is to be published as one.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { StageRequest } from "../../../../lib/wire/operations/stage.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `stage`. */
export const stage: Handler<StageRequest> = {
  action: ({ filename }) => `publish ${quote(filename)}`,

  async answer(exchange) {
    const { filename, ask } = exchange.request;
    if (ask) {
      const exists = await exchange.stages.ask(exchange.request);
      return await exchange.reply({ filename, exists });
    }
    const { tree: { id, resumed }, exists } = await exchange.stages.begin(exchange.request);
    return await exchange.reply({ filename, stage: id, exists, resumed });
  },
};
