/**
 * Validates options that are numbers.
 *
 * @module
 */

import { FerryError } from "./errors.ts";

/** The longest time that timers support, in milliseconds: about 24 days. */
export const MAX_TIMEOUT_MS: number = 2 ** 31 - 1;

/** The limits of a timeout, in milliseconds. */
export const TIMEOUT: Readonly<Limits> = { least: 1, most: MAX_TIMEOUT_MS };

/** The smallest and the largest number that is accepted. */
export interface Limits {
  /** Default: 0. */
  least?: number;
  /** Default: Infinity. */
  most?: number;
}

/**
 * Refuses options that are not numbers within the limits. Undefined options are accepted: they have a default.
 *
 * @throws {FerryError} `usage`
 */
export function assertNumbers(
  options: Readonly<Record<string, number | undefined>>,
  { least = 0, most = Infinity }: Limits = {},
): void {
  for (const [name, value] of Object.entries(options)) {
    // Comparisons with NaN are false.
    if (value === undefined || typeof value === "number" && value >= least && value <= most) {
      continue;
    }
    const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new FerryError("usage", `${name} is a number ${range}, and not ${value}`);
  }
}
