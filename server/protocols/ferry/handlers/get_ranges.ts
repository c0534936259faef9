/**
 * `get` with a `version`: sends ranges of a file to a client that has the rest of it.
 *
 * @module
 */

import { sendSized } from "../../../../lib/transfer/send.ts";
import type { GetRequest } from "../../../../lib/wire/operations/get.ts";
import type { Handler } from "../exchange/exchange.ts";
import { get } from "./get.ts";
import { readRanges } from "./ranges_body.ts";

/** Answers a `get` of ranges. */
export const getRanges: Handler<GetRequest> = {
  action: get.action,
  readsBody: true,

  async answer(exchange) {
    const { connection, request, body, permit } = exchange;
    const { filename, algorithm, version } = request;
    using ranges = await readRanges(body);
    const wanted = { algorithm, version: version!, ranges: ranges.bytes };
    // A sized body has no place for an error, so the connection is closed when the permit ends.
    using _watch = permit.onEnd((error) => connection.close(error));
    await using file = await exchange.files.openRanges(filename, wanted);
    const { entry: { size, mtime, mode }, checksum, digest } = file;
    const header = { status: "ok", filename, size, mtime, mode, ranges: true };
    return await exchange.stream(async () => {
      const options = { size: file.size, algorithm, checksum, digest };
      const sent = await sendSized(connection.wire, header, file, options);
      await file.remember(sent.checksum);
    });
  },
};
