/**
 * The key `within` of requests that take something away: it keeps them from being led elsewhere by a symbolic link.
 *
 * @module
 */

import * as v from "valibot";
import { key, string } from "../schema.ts";

/** The feature of servers that know the key. */
export const REMOVE_WITHIN = "remove-within";

/** The key. */
export const within = key(
  v.optional(string),
  'A directory that `filename` is in, "" for the root: no component of the name below it may be a symbolic link, ' +
    "apart from the last one.",
);
