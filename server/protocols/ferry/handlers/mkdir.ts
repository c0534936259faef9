/**
 * `mkdir`: creates a directory and missing parent directories.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { MkdirRequest } from "../../../../lib/wire/operations/mkdir.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `mkdir`. */
export const mkdir: Handler<MkdirRequest> = {
  action: ({ filename }) => `make the directory ${quote(filename)}`,

  async answer(exchange) {
    const { filename, stage } = exchange.request;
    if (stage === undefined) await exchange.files.mkdir(filename);
    else await exchange.stages.mkdir(stage, filename);
    return await exchange.reply({ filename });
  },
};
