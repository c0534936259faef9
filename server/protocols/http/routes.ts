/**
 * Which handler a request is for.
 *
 * @module
 */

import { addRoute, createRouter, findRoute } from "rou3";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Exchange, Handler, Route } from "./exchange/exchange.ts";
import { HttpFailure } from "./exchange/problem.ts";
import { isReserved } from "./exchange/target.ts";
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

/** The routes of files, and those of the names that are not. */
const routers = { files: createRouter<Route>(), reserved: createRouter<Route>() };
for (const route of ROUTES) {
  const router = isReserved(route.path.slice(1)) ? routers.reserved : routers.files;
  for (const method of route.methods) addRoute(router, method, route.path, route);
}

/**
 * The handler of a request.
 *
 * @throws {HttpFailure} 404 or 405 if there is none
 */
export function handlerOf({ method, target: { raw, path } }: Exchange): Handler {
  // A reserved name may be written in several ways, of which only one has a route.
  const router = isReserved(path) ? routers.reserved : routers.files;
  const found = findRoute(router, method === "HEAD" ? "GET" : method, raw);
  if (found) return found.data.handler;
  const methods = METHODS.filter((method) => findRoute(router, method, raw));
  if (methods.length === 0) {
    throw new HttpFailure(404, new FerryError("not_found", "nothing is served there"));
  }
  if (methods.includes("GET")) methods.push("HEAD");
  const allow = [...methods, "OPTIONS"].sort().join(", ");
  if (method === "OPTIONS") return (exchange) => Promise.resolve(exchange.send(204, { allow }));
  const failure = new FerryError("usage", `the method ${method} is not for what is served there`);
  throw new HttpFailure(405, failure, { allow });
}

/** The methods of all routes. */
const METHODS = [...new Set(ROUTES.flatMap(({ methods }) => methods))];
