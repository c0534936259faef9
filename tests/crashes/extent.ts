/**
 * How many crashes are tried, and which ones.
 *
 * @module
 */

import { extentOf } from "../support/extent.ts";

/** How many kills of a server are tried; undefined in a run of all tests, which tries few. */
export const KILLS: number | undefined = extentOf("FERRY_CRASHES");

/** The one call at which a server is killed, as a failure names it; undefined for several. */
export const ONLY: string | undefined = Deno.env.get("FERRY_CRASHES_ONLY");

/** What the choice of the crashes follows from. */
export const SEED: number = Number(Deno.env.get("FERRY_CRASHES_SEED") ?? 1);

/** How to repeat a run that has failed. */
export const AGAIN: string = `deno task crashes --kills ${KILLS ?? 500} --seed ${SEED}:`;
