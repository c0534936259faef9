/**
 * `piece`: stores a part of a file that is being put together.
 *
 * @module
 */

import { FerryError, quote } from "../../../../lib/core/errors.ts";
import { parseFileName } from "../../../../lib/core/remote_name.ts";
import type { PieceRequest } from "../../../../lib/wire/operations/piece.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `piece`, when it is stored and verified. */
export const piece: Handler<PieceRequest> = {
  action: ({ filename }) => `put a piece of ${quote(filename)}`,
  overlaps: true,
  readsBody: true,

  async answer(exchange) {
    const { connection, request, body, permit } = exchange;
    const { filename, id, offset } = request;
    if (body.size === null || body.algorithm !== "xxh128") {
      throw new FerryError("bad_header", "a piece has a total_size, and its checksum is an xxh128");
    }
    const owned = { name: parseFileName(filename), owner: permit.owner };
    const upload = connection.options.assembled.find(id, owned);
    const span = { from: offset, to: offset + Number(body.size) };
    const receiving = upload.receive(body, span, () => permit.assert());
    try {
      await permit.wait(receiving);
    } catch (error) {
      return await exchange.refuse(error, receiving);
    }
    return await exchange.reply({ filename });
  },
};
