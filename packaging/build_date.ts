/**
 * The date of what is built.
 *
 * @module
 */

import { FerryError, quote } from "../lib/core/errors.ts";

/**
 * The time that `SOURCE_DATE_EPOCH` names, so that the same sources make the same files; the present where it is not
 * set.
 *
 * @param env reads a variable of the environment
 * @throws {FerryError} `usage` where it is not a number of seconds since 1970
 */
export function buildDate(env: (name: string) => string | undefined): Date {
  const text = env("SOURCE_DATE_EPOCH");
  if (!text) return new Date();
  const date = new Date(/^\d+$/.test(text) ? Number(text) * 1000 : NaN);
  if (!Number.isNaN(date.getTime())) return date;
  const reason = `SOURCE_DATE_EPOCH is ${quote(text)}, and not a number of seconds since 1970`;
  throw new FerryError("usage", reason);
}
