/**
 * `receipt`: confirms that a file is stored.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { ReceiptRequest } from "../../../../lib/wire/operations/receipt.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `receipt`. */
export const receipt: Handler<ReceiptRequest> = {
  action: ({ filename }) => `confirm ${quote(filename)}`,

  async answer(exchange) {
    const { connection, files, request } = exchange;
    const { filename, size, checksum, algorithm } = request;
    const stored = await files.confirm(filename, { size, checksum, algorithm });
    const text = await connection.options.receipt(stored);
    return await exchange.reply({ filename, receipt: text });
  },
};
