/**
 * DELETE: removes a file, or a directory and its contents if the name has a slash at its end.
 *
 * @module
 */

import { FerryError } from "../../../../lib/core/errors.ts";
import { preconditionIn } from "../exchange/entity_tag.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a DELETE. */
export const remove: Handler = async (exchange) => {
  const { filename, target: { path, isDirectory } } = exchange;
  const permit = exchange.permit({ op: "remove", filename });
  if (path === "") throw new FerryError("usage", "the root cannot be removed");
  const files = exchange.files(permit);
  if (isDirectory && (await files.find(filename, "md5"))?.type === "file") {
    throw new FerryError("not_found", "no directory has that name, but a file");
  }
  const precondition = preconditionIn(exchange.request.headersDistinct);
  await files.remove(filename, { recursive: isDirectory, precondition });
  exchange.send(204);
};
