/**
 * `list`: the entries of a directory, or the client's partial uploads, one line each.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import type { ListRequest } from "../../../../lib/wire/operations/list.ts";
import { encodeListLine } from "../../../../lib/wire/list_lines.ts";
import { encodeLines } from "../../../../lib/wire/lines.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `list`. */
export const list: Handler<ListRequest> = {
  action: ({ filename }) => `list ${quote(filename)}`,

  async answer(exchange) {
    const { filename, recursive, parts, omitted, ids, links } = exchange.request;
    const entries = parts
      ? await exchange.uploads.partials.list(filename)
      : await exchange.files.list(filename, { recursive, omitted, ids, links });
    const pieces = encodeLines(entries, encodeListLine);
    return await exchange.streamPieces({ keys: { filename }, pieces });
  },
};
