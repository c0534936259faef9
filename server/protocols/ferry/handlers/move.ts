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

  follows: true,

  answer(exchange) {
    const { filename, to, overwrite, within, keep } = exchange.request;
    const replace = overwrite === "always" && !keep;
    return exchange.replyWhenKept({ filename: to }, (onChanged) => {
      return exchange.files.move(filename, to, { replace, within, keep, onChanged });
    });
  },
};
