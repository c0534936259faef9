/**
 * `assemble`: begins an upload whose bytes come in pieces.
 *
 * @module
 */

import { FerryError, quote } from "../../../../lib/core/errors.ts";
import type { AssembleRequest } from "../../../../lib/wire/operations/assemble.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers an `assemble`. The upload is reserved for the connection until its next request. */
export const assemble: Handler<AssembleRequest> = {
  action: ({ filename }) => `put ${quote(filename)}`,
  overlaps: true,

  async answer(exchange) {
    const { connection, request } = exchange;
    const { filename, offset, stage } = request;
    if (!exchange.body.ended) throw new FerryError("bad_header", "the request takes no body");
    if (offset === 0) await connection.releaseOffered();
    await connection.replies.written();
    const uploads = await exchange.uploadsInto(stage);
    const { offered, options: { assembled } } = connection;
    const upload = await uploads.assemble(request, assembled, offered);
    if (!upload) return await exchange.reply({ filename });
    connection.offered = upload;
    const pieces = upload.pieces.map(({ from, to, xxh128 }) => {
      return { offset: from, size: to - from, xxh128 };
    });
    return await exchange.reply({ filename, id: upload.id, pieces });
  },
};
