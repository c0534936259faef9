/**
 * `link`: makes a symbolic link.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { LinkRequest } from "../../../../lib/wire/operations/link.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `link`. The reply is sent when the link is flushed; following requests are read meanwhile. */
export const link: Handler<LinkRequest> = {
  action: ({ filename }) => `make the link ${quote(filename)}`,
  overlaps: true,

  async answer(exchange) {
    const { connection, request, files } = exchange;
    const { filename, target, overwrite, mtime } = request;
    // This policy compares with what is there, which an earlier put may still be publishing.
    if (overwrite === "newer") await connection.replies.settle();
    const made = files.link(filename, { target, overwrite, mtime });
    return await exchange.replyLater(made.then(({ unchanged }) => ({ filename, unchanged })));
  },
};
