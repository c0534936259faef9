/**
 * `link`: makes a symbolic link.
 *
 * @module
 */

import { quote, toFerryError } from "../../../../lib/core/errors.ts";
import { errorReply } from "../../../../lib/wire/error_reply.ts";
import type { LinkRequest } from "../../../../lib/wire/operations/link.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `link`. The reply is sent when the link is flushed; following requests are read meanwhile. */
export const link: Handler<LinkRequest> = {
  action: ({ filename }) => `make the link ${quote(filename)}`,
  overlaps: true,

  async answer({ connection, request, files, action }) {
    const { filename, target, overwrite, mtime } = request;
    // This policy compares with what is there, which an earlier put may still be publishing.
    if (overwrite === "newer") await connection.replies.settle();
    const made = files.link(filename, { target, overwrite, mtime });
    await connection.replies.push(made.then(
      ({ unchanged }) => ({ status: "ok", filename, unchanged }),
      (error) => {
        const failure = toFerryError(error).during(action);
        connection.failed(failure, request);
        return errorReply(failure);
      },
    ));
    return true;
  },
};
