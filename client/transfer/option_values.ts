/**
 * Checks the options of transfers that types alone cannot, for programs without them.
 *
 * @module
 */

import { ALGORITHMS } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { OVERWRITE_POLICIES } from "../../lib/core/overwrite.ts";
import { DURABILITIES } from "../../lib/files/durability.ts";
import { MAX_STREAMS } from "../net/stream_count.ts";
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
  options: Pick<GetOptions, keyof typeof CHOICES | "basis" | "delta" | "streams"> & {
    checksum?: unknown;
  },
): void {
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name as keyof typeof CHOICES];
    if (value === undefined || choices.some((choice) => choice === value)) continue;
    throw new FerryError("usage", `${name} is one of ${choices.join(", ")}, and not ${value}`);
  }
  const { streams = 1 } = options;
  if (
    streams !== "auto" && !(Number.isInteger(streams) && streams >= 1 && streams <= MAX_STREAMS)
  ) {
    const range = `auto or a whole number from 1 to ${MAX_STREAMS}`;
    throw new FerryError("usage", `streams is ${range}, and not ${streams}`);
  }
  if (options.basis !== undefined && options.delta === false) {
    throw new FerryError("usage", "a basis is of no use where no delta is to be made");
  }
  if (options.checksum !== undefined) {
    const reason = "there is no option checksum: compare the checksum of the result";
    throw new FerryError("usage", reason);
  }
}
