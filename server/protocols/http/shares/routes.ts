/**
 * The routes of making, listing and taking back share links, and of what a link is about.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";
import { createShare, listShares, revokeShare, showShare } from "./manage.ts";

/** The routes of `/.ferry/shares`, and of `/.ferry/share` below a link. */
export const SHARE_ROUTES: readonly Route[] = [
  { methods: ["GET"], path: "/.ferry/shares", handler: listShares },
  { methods: ["POST"], path: "/.ferry/shares", handler: createShare },
  { methods: ["DELETE"], path: "/.ferry/shares/*", handler: revokeShare },
  { methods: ["GET"], path: "/.ferry/share", handler: showShare },
];
