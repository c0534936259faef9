/**
 * Numbers that a program gives as options.
 *
 * @module
 */

import { FerryError } from "./errors.ts";

/** The longest time that timers take, about 24 days, in milliseconds. */
export const MAX_TIMEOUT_MS: number = 2 ** 31 - 1;

/** What a time may be that something is waited for, in milliseconds. */
export const TIMEOUT: Readonly<Limits> = { least: 1, most: MAX_TIMEOUT_MS };

/** The smallest and the largest number that is taken. */
export interface Limits {
  /** 0 unless told otherwise. */
  least?: number;
  /** Any number unless told otherwise, infinity among them. */
  most?: number;
}

/**
 * Refuses options that are no numbers within their limits; those that are undefined have a default.
 *
 * @throws {FerryError} `usage`
 */
export function assertNumbers(
  options: Readonly<Record<string, number | undefined>>,
  { least = 0, most = Infinity }: Limits = {},
): void {
  for (const [name, value] of Object.entries(options)) {
    // Nothing compares with NaN.
    if (value === undefined || typeof value === "number" && value >= least && value <= most) {
      continue;
    }
    const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new FerryError("usage", `${name} is a number ${range}, and not ${value}`);
  }
}
