/**
 * What is decided about a request before it is looked at what it is for: whether the server is meant at all, whether a
 * web page elsewhere makes it, and who makes it.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { scopesOf } from "../../../auth/grants.ts";
import { TokenCaller } from "../../../auth/caller.ts";
import type { HttpService } from "../exchange/exchange.ts";
import { assertKnownHost } from "./hosts.ts";
import { loginOf } from "./logins.ts";
import { allowOrigin, answerPreflight, assertNotForged, isPreflight, siteOf } from "./origins.ts";

/**
 * Admits a request, and sets the fields of its response that let a script see it.
 *
 * @param options.logsIn whether it matters who makes it
 * @returns who makes it; undefined if it was already answered
 * @throws {HttpFailure} 421 for a name that is not that of the server; 403 for what a web page elsewhere may not do; 401
 * for a token that is not valid
 * @throws {FerryError} `busy` after too many tokens that were not
 */
export async function admit(
  request: IncomingMessage,
  response: ServerResponse,
  service: HttpService,
  { logsIn = true }: { logsIn?: boolean } = {},
): Promise<TokenCaller | undefined> {
  const { method = "", headers } = request;
  // Only what is granted to everybody can be had without knowing a secret; and over an encrypted connection a browser
  // has already checked the name.
  if (!service.secure && scopesOf(service.authority.anonymous.grants).length > 0) {
    assertKnownHost(headers.host, service.hosts);
  }
  const site = siteOf(headers, service);
  if (service.origins.length > 0) response.setHeader("vary", "Origin");
  if (site === "allowed") {
    allowOrigin(response, headers);
    if (isPreflight(method, headers)) return void answerPreflight(response, headers);
  }
  assertNotForged(method, headers, site);
  if (!logsIn) return TokenCaller.anonymous(service.authority);
  // Whoever wrote a page elsewhere gets no further with it than with a token of their own.
  const { caller } = await loginOf({ request, response, service }, { cookies: site !== "allowed" });
  return caller;
}
