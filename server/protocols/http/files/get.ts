/**
 * GET and HEAD of files and directories.
 *
 * @module
 */

import { toFerryError } from "../../../../lib/core/errors.ts";
import type { Permit } from "../../../auth/permit.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";
import { getDirectory } from "./get_directory.ts";
import { sendFile } from "./send_file.ts";

/** Answers a GET or HEAD: a path with a slash at its end is a directory, any other a file. */
export async function get(exchange: Exchange): Promise<void> {
  try {
    await (exchange.target.isDirectory ? getDirectory(exchange) : getFile(exchange));
  } catch (error) {
    const failure = toFerryError(error);
    // There is nothing that could be read under this path, though there is under a similar one.
    throw failure.code === "not_a_file" ? new HttpFailure(404, failure) : error;
  }
}

async function getFile(exchange: Exchange): Promise<void> {
  const { filename } = exchange;
  const permit = exchange.permit({ op: "get", filename });
  try {
    await sendFile(exchange, permit);
  } catch (error) {
    if (toFerryError(error).code !== "not_a_file") throw error;
    if (!await isDirectory(exchange, permit)) throw error;
    redirect(exchange);
  }
}

async function isDirectory(exchange: Exchange, permit: Permit): Promise<boolean> {
  const { type } = await exchange.files(permit).stat(exchange.filename, "md5");
  return type === "directory";
}

/**
 * Redirects to the same path with a slash at its end. Not for good, since a file may get that name; and without the
 * host, since a proxy may have another one.
 */
function redirect(exchange: Exchange): void {
  const { filename, target: { query } } = exchange;
  const search = query.size === 0 ? "" : `?${query}`;
  const location = `${exchange.linkTo(filename)}/${search}`;
  exchange.send(307, { location, "cache-control": "no-store" });
}
