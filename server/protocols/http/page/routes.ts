/**
 * The routes of the page and its parts: `/.ferry/page/`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";
import { sendPart } from "./page.ts";

/** The routes of the page and its parts: `/.ferry/page/`. */
export const PAGE_ROUTES: readonly Route[] = [
  { methods: ["GET"], path: "/.ferry/page/*", handler: sendPart },
];
