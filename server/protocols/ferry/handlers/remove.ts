/**
 * `remove`: deletes a file, or a directory with its contents.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { RemoveRequest } from "../../../../lib/wire/operations/remove.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `remove`. */
export const remove: Handler<RemoveRequest> = {
  action: ({ filename }) => `remove ${quote(filename)}`,

  follows: true,

  answer(exchange) {
    const { filename, recursive, within } = exchange.request;
    return exchange.replyWhenKept({ filename }, (onChanged) => {
      return exchange.files.remove(filename, { recursive, within, onChanged });
    });
  },
};
