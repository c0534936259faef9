/**
 * Admits requests, before anything looks at what they ask for: decides whether the server is meant at all, and whether a
 * web page elsewhere makes the request, and finds out who makes it.
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
 * What a request is for, as far as it matters here: for a share link it makes no difference who makes it; for a part of
 * the page, which is no secret, not even by which name it calls the server.
 */
export type Subject = "files" | "link" | "page";

/**
 * Admits a request, and sets the fields of its response that let a script see it.
 *
 * @returns who makes it; undefined if it was already answered
 * @throws {HttpFailure} 421 for a name that is not that of the server; 403 for what a web page elsewhere may not do; 401
 * for a token that is not valid
 * @throws {FerryError} `busy` after too many tokens that were not
 */
export async function admit(
  request: IncomingMessage,
  response: ServerResponse,
  service: HttpService,
  subject: Subject,
): Promise<TokenCaller | undefined> {
  const { method = "", headers } = request;
  // A foreign name can only be of use for what is granted to everybody. Over an encrypted connection the browser has
  // compared the name with the certificate.
  const isOpen = scopesOf(service.authority.anonymous.grants).length > 0;
  if (isOpen && !service.secure && subject !== "page") assertKnownHost(headers.host, service.hosts);
  const site = siteOf(headers, service);
  if (service.origins.length > 0) response.setHeader("vary", "Origin");
  if (site === "allowed") {
    allowOrigin(response, headers);
    if (isPreflight(method, headers)) return void answerPreflight(response, headers);
  }
  assertNotForged(method, headers, site);
  if (subject !== "files") return TokenCaller.anonymous(service.authority);
  // The session of whoever looks at a page elsewhere is not for the scripts of that page.
  const { caller } = await loginOf({ request, response, service }, { cookies: site !== "allowed" });
  return caller;
}
