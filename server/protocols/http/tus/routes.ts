/**
 * The routes of `/.tus/`.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";
import { tus } from "./tus.ts";

/** The routes of `/.tus/`: of uploads, and of the places where they are created. */
export const TUS_ROUTES: readonly Route[] = [
  { methods: ["DELETE", "GET", "OPTIONS", "PATCH", "POST"], path: "/.tus/**", handler: tus },
];
