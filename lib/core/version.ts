/**
 * The version of ferry. A test compares it with the one in deno.json, which not every package contains.
 *
 * @module
 */

/** The version of this program: `major.minor.patch`. */
export const VERSION = "0.1.0";
