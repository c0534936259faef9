/**
 * The routes of everything but what begins with `/.ferry/` or `/.tus/`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";

/** The routes of everything but what begins with `/.ferry/` or `/.tus/`. */
export const FILE_ROUTES: readonly Route[] = [];
