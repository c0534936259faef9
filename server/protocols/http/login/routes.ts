/**
 * The routes of logging in and out: `/.ferry/session`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";
import { beginSession, endSession, showSession } from "./session.ts";

const path = "/.ferry/session";

/** The routes of logging in and out: `/.ferry/session`. */
export const LOGIN_ROUTES: readonly Route[] = [
  { methods: ["GET"], path, handler: showSession },
  { methods: ["POST"], path, handler: beginSession },
  { methods: ["DELETE"], path, handler: endSession },
];
