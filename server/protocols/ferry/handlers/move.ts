/**
 * `move`: renames a file or a directory.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { MoveRequest } from "../../../../lib/wire/operations/move.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `move`. */
export const move: Handler<MoveRequest> = {
  action: ({ filename, to }) => `move ${quote(filename)} to ${quote(to)}`,

  async answer(exchange) {
    const { filename, to, overwrite, within, keep } = exchange.request;
    await exchange.files.move(filename, to, { replace: overwrite === "always", within, keep });
    return await exchange.reply({ filename: to });
  },
};
