/**
 * Local paths in the arguments of the library.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { fromFileUrl } from "../../lib/core/paths.ts";

/**
 * A local path, from a path or a `file:` URL.
 *
 * @throws {FerryError} `usage` for any other URL, and for the empty path
 */
export function localPath(path: string | URL): string {
  if (path === "") throw new FerryError("usage", "the path is empty");
  if (typeof path === "string") return path;
  if (path.protocol === "file:") return fromFileUrl(path);
  const reason = `${quote(path.href)} is no file: URL; what it leads to goes by way of fetch()`;
  throw new FerryError("usage", reason);
}

/** The same, with the attempted action in the error message. */
export function localPathFor(path: string | URL, action: string): string {
  try {
    return localPath(path);
  } catch (error) {
    throw toFerryError(error).during(action);
  }
}
