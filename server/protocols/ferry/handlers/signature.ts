/**
 * `signature`: sends the hashes of the blocks of a file, or of ranges of it.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { SignatureRequest } from "../../../../lib/wire/operations/signature.ts";
import type { Handler } from "../exchange/exchange.ts";
import { readRanges } from "./ranges_body.ts";

/** Answers a `signature`. */
export const signature: Handler<SignatureRequest> = {
  action: ({ filename }) => `make a signature of ${quote(filename)}`,
  readsBody: true,

  async answer(exchange) {
    const { request, body } = exchange;
    const { filename, algorithm, block, rolling, version } = request;
    const isWhole = body.size === 0n;
    using ranges = isWhole ? undefined : await readRanges(body);
    const wanted = { block, rolling, version, ranges: ranges?.bytes };
    await using file = await exchange.files.signature(filename, wanted);
    const { entry: { size, mtime, mode }, strong } = file;
    const keys = { filename, size, mtime, mode, version: file.version, strong };
    return await exchange.streamPieces({ keys, algorithm, pieces: file.records() });
  },
};
