/**
 * The routes of the page and its parts: `/.ferry/page/`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";

/** The routes of the page and its parts: `/.ferry/page/`. */
export const PAGE_ROUTES: readonly Route[] = [];
