/**
 * The cookie of a session.
 *
 * @module
 */

import { parseCookie, stringifySetCookie } from "cookie";
import type { Begun } from "../../../auth/sessions.ts";
import type { HttpService } from "../exchange/exchange.ts";

/**
 * What the name of the cookie begins with. The id of the key that signs sessions follows, since the servers at all ports
 * of a host get the same cookies.
 */
const PREFIX = "ferry-";

/** Such a cookie was set by this host itself, over an encrypted connection. */
const SECURE_PREFIX = `__Host-${PREFIX}`;

/** The maximum number of sessions that are looked at in one request: one for each server of that host. */
const MAX_SESSIONS = 16;

/** The texts of the sessions in a `Cookie` field. */
export function sessionsIn(cookie: string, service: HttpService): string[] {
  const prefix = prefixFor(service);
  return Object.entries(parseCookie(cookie)).flatMap(([name, text]) =>
    name.startsWith(prefix) && text !== undefined &&
      text.startsWith(`${name.slice(prefix.length)}.`)
      ? [text]
      : []
  ).slice(0, MAX_SESSIONS);
}

/** The `Set-Cookie` that gives a session to a browser. */
export function giveSession({ text, expires }: Begun, service: HttpService): string {
  const left = expires - service.authority.clock.now();
  return setCookie(text, text, service, Math.max(0, Math.ceil(left / 1000)));
}

/** The `Set-Cookie` that makes a browser forget a session. */
export function takeSession(text: string, service: HttpService): string {
  return setCookie(text, "", service, 0);
}

function setCookie(text: string, value: string, service: HttpService, maxAge: number): string {
  const [key] = text.split(".");
  return stringifySetCookie({
    name: prefixFor(service) + key,
    value,
    path: "/",
    maxAge,
    httpOnly: true,
    sameSite: "strict",
    secure: isSecure(service),
  });
}

function prefixFor(service: HttpService): string {
  return isSecure(service) ? SECURE_PREFIX : PREFIX;
}

/** Whether browsers reach the server over encrypted connections, be it through a proxy. */
function isSecure({ secure, url }: HttpService): boolean {
  return secure || url?.protocol === "https:";
}
