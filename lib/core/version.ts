/**
 * The version of ferry. A test compares it with that in deno.json, which is no part of every package that
 * is made of the sources.
 *
 * @module
 */

/** The version of this program: `major.minor.patch`. */
export const VERSION = "0.1.0";
