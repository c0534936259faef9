/**
 * `put` with `offer`: decides whether the client should send a file, and from which offset.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { PutRequest } from "../../../../lib/wire/operations/put.ts";
import { checksumKeys } from "../../../../lib/wire/checksum_keys.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers an offer. The partial upload that it offers is reserved until the connection's next request. */
export const offer: Handler<PutRequest> = {
  action: ({ filename }) => `put ${quote(filename)}`,

  async answer(exchange) {
    const { connection, request } = exchange;
    const { filename, algorithm, overwrite, mtime, checksum, restart, sparse } = request;
    const size = request.size === undefined ? null : Number(request.size);
    const offered = { filename, size, algorithm, overwrite, mtime, checksum, restart, sparse };
    const answer = await (await exchange.uploadsInto(request.stage)).offer(offered);
    const { decision } = answer;
    if (answer.decision === "hash") return await exchange.reply({ filename, decision });
    if (answer.decision === "have") {
      const { size, checksum } = answer;
      return await exchange.reply({
        filename,
        decision,
        size,
        ...checksumKeys(algorithm, checksum),
      });
    }
    connection.offered = answer.partial;
    const replaces = answer.replaces ? { replaces: true } : {};
    if (!answer.partial) {
      return await exchange.reply({ filename, decision, offset: 0, ...replaces });
    }
    const { size: offset, md5, xxh128, state } = answer.partial.facts;
    return await exchange.reply({
      filename,
      decision,
      offset,
      prefix_md5: md5,
      prefix_xxh128: xxh128,
      prefix_state: state,
      ...replaces,
    });
  },
};
