/**
 * The version of ferry, as deno.json has it.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** The version of this program: `major.minor.patch`. */
export const VERSION: string = config.version;
