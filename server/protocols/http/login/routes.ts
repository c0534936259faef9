/**
 * The routes of logging in and out: `/.ferry/session`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";

/** The routes of logging in and out: `/.ferry/session`. */
export const LOGIN_ROUTES: readonly Route[] = [];
