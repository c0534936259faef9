/**
 * Checks the options of transfers that types alone cannot, for programs without them.
 *
 * @module
 */

import { ALGORITHMS } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { OVERWRITE_POLICIES } from "../../lib/core/overwrite.ts";
import { DURABILITIES } from "../../lib/files/durability.ts";
import type { GetOptions } from "./options.ts";

const CHOICES = {
  algorithm: ALGORITHMS,
  overwrite: OVERWRITE_POLICIES,
  durability: DURABILITIES,
} as const;

/**
 * Refuses values that the options do not have, and a checksum: a program that gives one expects that the content is
 * compared with it.
 *
 * @throws {FerryError} `usage`
 */
export function assertOptionValues(
  options: Pick<GetOptions, keyof typeof CHOICES | "basis" | "delta"> & { checksum?: unknown },
): void {
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name as keyof typeof CHOICES];
    if (value === undefined || choices.some((choice) => choice === value)) continue;
    throw new FerryError("usage", `${name} is one of ${choices.join(", ")}, and not ${value}`);
  }
  if (options.basis !== undefined && options.delta === false) {
    throw new FerryError("usage", "a basis is of no use where no delta is to be made");
  }
  if (options.checksum !== undefined) {
    const reason = "there is no option checksum: compare the checksum of the result";
    throw new FerryError("usage", reason);
  }
}
