/**
 * Requests that browsers make for web pages elsewhere: which are refused, and which may be made by scripts (CORS).
 *
 * @module
 */

import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { FerryError } from "../../../../lib/core/errors.ts";
import { HttpFailure } from "../exchange/problem.ts";

/**
 * Where the page is that makes a request: `own` for the server's own page, `allowed` for an origin that was allowed,
 * `foreign` for any other. `unknown` if it tells nothing, as those of other programs than browsers.
 */
export type Site = "own" | "allowed" | "foreign" | "unknown";

/** The methods that change nothing. */
const SAFE = ["GET", "HEAD", "OPTIONS"];

/** The fields of responses that scripts of allowed origins may see, beside those that they always may. */
const EXPOSED = [
  "Accept-Ranges",
  "Allow",
  "Content-Disposition",
  "Content-Location",
  "Content-Range",
  "Digest",
  "ETag",
  "Location",
  "Repr-Digest",
  "Retry-After",
  "Tus-Checksum-Algorithm",
  "Tus-Extension",
  "Tus-Max-Size",
  "Tus-Resumable",
  "Tus-Version",
  "Upload-Concat",
  "Upload-Defer-Length",
  "Upload-Expires",
  "Upload-Length",
  "Upload-Metadata",
  "Upload-Offset",
  "Upload-Prefix-Digest",
  "WWW-Authenticate",
  "X-Request-Id",
].join(", ");

/** How long a browser may remember what scripts of an origin may do, in seconds. */
const PREFLIGHT_SECONDS = 3600;

/** What decides about origins. */
export interface OriginRules {
  /** The origins that are allowed. */
  readonly origins: readonly string[];
  /** The URL that clients know the server by, if it is not that of the listener. */
  readonly url: URL | undefined;
}

/** Where the page is that makes a request. */
export function siteOf(headers: IncomingHttpHeaders, { origins, url }: OriginRules): Site {
  const { origin, host, "sec-fetch-site": site } = headers;
  if (origin !== undefined && origins.includes(origin)) return "allowed";
  if (site !== undefined) return site === "same-origin" || site === "none" ? "own" : "foreign";
  if (origin === undefined) return "unknown";
  // The scheme says nothing: behind a proxy that encrypts, the listener does not.
  return origin === url?.origin || sameHost(origin, host) ? "own" : "foreign";
}

function sameHost(origin: string, host: string | undefined): boolean {
  const { protocol, host: own } = URL.parse(origin) ?? {};
  return own !== undefined && own !== "" && own === URL.parse(`${protocol}//${host}`)?.host;
}

/**
 * Refuses what a page elsewhere may not make a browser do: everything but to follow a link to here.
 *
 * @throws {HttpFailure} 403
 */
export function assertNotForged(method: string, headers: IncomingHttpHeaders, site: Site): void {
  if (site !== "foreign") return;
  // A browser never adds this by itself: whoever shows it knows a token.
  if (/^bearer /i.test(headers.authorization ?? "")) return;
  const { "sec-fetch-mode": mode, "sec-fetch-dest": destination } = headers;
  if (SAFE.includes(method) && mode === "navigate" && destination === "document") return;
  const failure = new FerryError(
    "denied",
    "a web page elsewhere made this request; ferryd --http-origin says which may",
  );
  throw new HttpFailure(403, failure);
}

/** Sets the fields that let scripts of an allowed origin see the response. */
export function allowOrigin(response: ServerResponse, headers: IncomingHttpHeaders): void {
  response.setHeader("access-control-allow-origin", headers.origin!);
  response.setHeader("access-control-expose-headers", EXPOSED);
}

/** Whether a request asks, on behalf of a script, whether the script may make another one. */
export function isPreflight(method: string, headers: IncomingHttpHeaders): boolean {
  return method === "OPTIONS" && headers.origin !== undefined &&
    headers["access-control-request-method"] !== undefined;
}

/** Answers such a request for an allowed origin. */
export function answerPreflight(response: ServerResponse, headers: IncomingHttpHeaders): void {
  const { "access-control-request-headers": fields } = headers;
  const isLocal = headers["access-control-request-private-network"] === "true";
  response.writeHead(204, {
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "access-control-max-age": String(PREFLIGHT_SECONDS),
    ...fields ? { "access-control-allow-headers": fields } : {},
    ...isLocal ? { "access-control-allow-private-network": "true" } : {},
  });
  response.end();
}
