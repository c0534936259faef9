/**
 * The quotas of tokens, as the storage keeps them: each limits the directories that the token may write to.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import type { TokenTable } from "./token_table.ts";
import type { Storage } from "../storage/storage.ts";

/**
 * Makes a storage keep the quotas of these tokens, in place of earlier ones.
 *
 * @throws {FerryError} `usage` if there is one and the storage can keep none; nothing is changed then
 */
export function limitByTokens(
  { quotas }: Pick<Storage, "quotas">,
  tokens: TokenTable | undefined,
): void {
  const limits = [...tokens?.records.values() ?? []].flatMap(({ name, grants, quota }) =>
    quota === undefined
      ? []
      : [{ whose: `the token ${quote(name)}`, directories: grants.write ?? [], limit: quota }]
  );
  if (limits.length > 0 && !quotas) {
    throw new FerryError(
      "usage",
      `${limits[0]!.whose} has a quota, which can be kept only in a directory that one ferryd ` +
        "serves alone: make the token anew without it",
    );
  }
  quotas?.limit(limits);
}
