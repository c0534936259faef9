/**
 * `verify`: reads a file again, and compares it with its recorded checksum.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import { checksumKeys } from "../../../../lib/wire/checksum_keys.ts";
import type { VerifyRequest } from "../../../../lib/wire/operations/verify.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `verify`. */
export const verify: Handler<VerifyRequest> = {
  action: ({ filename }) => `verify ${quote(filename)}`,

  async answer(exchange) {
    const { filename, algorithm } = exchange.request;
    const { entry, checksum, verdict } = await exchange.files.verify(filename, algorithm);
    const { size, mtime } = entry;
    const keys = { filename, size, mtime, verdict, ...checksumKeys(algorithm, checksum) };
    return await exchange.reply(keys);
  },
};
