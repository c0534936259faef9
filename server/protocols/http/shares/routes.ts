/**
 * The routes of `/.ferry/shares`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";

/** The routes of `/.ferry/shares`. */
export const SHARE_ROUTES: readonly Route[] = [];
