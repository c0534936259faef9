/**
 * The routes of everything but what begins with `/.ferry/` or `/.tus/`, and of moving.
 *
 * @module
 */

import type { Route } from "../exchange/exchange.ts";
import { get } from "./get.ts";
import { makeDirectory } from "./make_directory.ts";
import { move } from "./move.ts";
import { put } from "./put.ts";
import { remove } from "./remove.ts";

/** The routes of everything but what begins with `/.ferry/` or `/.tus/`, and of moving. */
export const FILE_ROUTES: readonly Route[] = [
  { methods: ["GET"], path: "/**", handler: get },
  { methods: ["PUT"], path: "/**", handler: put },
  { methods: ["DELETE"], path: "/**", handler: remove },
  { methods: ["POST"], path: "/**", handler: makeDirectory },
  { methods: ["POST"], path: "/.ferry/api/move", handler: move },
];
