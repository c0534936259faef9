/**
 * Which handler a request is for.
 *
 * @module
 */

import { addRoute, createRouter, findAllRoutes, findRoute } from "rou3";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Exchange, Handler, Route } from "./exchange/exchange.ts";
import { HttpFailure } from "./exchange/problem.ts";
import { FILE_ROUTES } from "./files/routes.ts";
import { LOGIN_ROUTES } from "./login/routes.ts";
import { PAGE_ROUTES } from "./page/routes.ts";
import { SHARE_ROUTES } from "./shares/routes.ts";
import { TUS_ROUTES } from "./tus/routes.ts";

const ROUTES: readonly Route[] = [
  ...FILE_ROUTES,
  ...TUS_ROUTES,
  ...LOGIN_ROUTES,
  ...SHARE_ROUTES,
  ...PAGE_ROUTES,
];

const router = createRouter<Route>();
for (const route of ROUTES) {
  for (const method of route.methods) addRoute(router, method, route.path, route);
}

/**
 * The handler of a request.
 *
 * @throws {HttpFailure} 404 or 405 if there is none
 */
export function handlerOf({ method, target: { raw } }: Exchange): Handler {
  const found = findRoute(router, method === "HEAD" ? "GET" : method, raw);
  if (found) return found.data.handler;
  const known = ROUTES.filter(({ path }) => {
    const own = createRouter<Route>();
    addRoute(own, "", path);
    return findAllRoutes(own, "", raw).length > 0;
  });
  const methods = [...new Set(known.flatMap((route) => route.methods))];
  if (methods.length === 0) {
    throw new HttpFailure(404, new FerryError("not_found", "nothing is served there"));
  }
  if (methods.includes("GET")) methods.push("HEAD");
  const failure = new FerryError("usage", `the method ${method} is not for what is served there`);
  throw new HttpFailure(405, failure, { allow: methods.sort().join(", ") });
}
