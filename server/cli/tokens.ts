/**
 * What the commands for tokens share.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import { formatGrants } from "../auth/grants.ts";
import { TokenFile } from "../auth/token_file.ts";
import type { TokenRecord } from "../auth/token_table.ts";

/**
 * The file that `--token-file` names.
 *
 * @throws {FerryError} `usage` if it names none
 */
export function openTokenFile(path: string | undefined): TokenFile {
  if (path === undefined) throw new FerryError("usage", "Where are the tokens? Give --token-file");
  return new TokenFile(path);
}

/** A token as one line: its id, its name, what it allows, when it expires, its quota. */
export function describeToken({ id, name, grants, expires, quota }: TokenRecord): string {
  const end = expires === null
    ? "never expires"
    : `${expires <= Date.now() ? "expired" : "expires"} ${new Date(expires).toISOString()}`;
  const limit = quota === undefined ? "" : `  quota ${formatSize(quota)}`;
  return `${id}  ${JSON.stringify(name)}  ${formatGrants(grants)}  ${end}${limit}`;
}
