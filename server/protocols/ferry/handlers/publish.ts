/**
 * `publish`: gives a directory that was put together its name.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { PublishRequest } from "../../../../lib/wire/operations/publish.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `publish`. */
export const publish: Handler<PublishRequest> = {
  action: ({ filename }) => `publish ${quote(filename)}`,

  async answer(exchange) {
    const { filename } = exchange.request;
    const { files, bytes, replaced } = await exchange.stages.publish(exchange.request);
    await exchange.operation.published({ filename, files, bytes });
    return await exchange.reply({ filename, files, bytes, replaced });
  },
};
