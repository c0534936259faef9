/**
 * The routes of `/.tus/`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";

/** The routes of `/.tus/`. */
export const TUS_ROUTES: readonly Route[] = [];
