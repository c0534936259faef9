/**
 * Local paths, as a program gives them.
 *
 * @module
 */

import { FerryError, quote } from "../lib/errors.ts";
import { fromFileUrl } from "../lib/path.ts";

/**
 * A path, also from a `file:` URL.
 *
 * @throws {FerryError} `usage` for any other URL
 */
export function localPath(path: string | URL): string {
  if (typeof path === "string") return path;
  if (path.protocol === "file:") return fromFileUrl(path);
  const reason = `${quote(path.href)} is no file: URL; what it leads to goes by way of fetch()`;
  throw new FerryError("usage", reason);
}
