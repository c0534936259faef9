/**
 * `/.ferry/session`: who is logged in, logging in with a token, and logging out.
 *
 * @module
 */

import * as v from "valibot";
import { scopesOf } from "../../../auth/grants.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { readJson } from "../exchange/json_body.ts";
import { giveSession, sessionsIn, takeSession } from "./cookies.ts";
import { tokenFrom } from "./credentials.ts";
import { callerShowing, type LoggedIn, loginOf } from "./logins.ts";

/** What logs a client in. */
const LOGIN = v.object({ token: v.string("is not a string") });

const NO_STORE = { "cache-control": "no-store" };

/** Tells who is logged in, and what may be done. */
export async function showSession(exchange: Exchange): Promise<void> {
  exchange.json(200, describe(exchange, await loginOf(exchange)), NO_STORE);
}

/** Begins a session with the token in the body. */
export async function beginSession(exchange: Exchange): Promise<void> {
  const { service, operation } = exchange;
  operation.subject = { ...operation.subject, op: "login" };
  const { token: shown } = await readJson(exchange, LOGIN);
  const caller = await callerShowing(() => tokenFrom(shown), exchange);
  const session = await service.sessions.begin(caller.shown!);
  operation.shown = caller.shown;
  const fields = { ...NO_STORE, "set-cookie": giveSession(session, service) };
  exchange.json(200, describe(exchange, { caller, by: "cookie" }), fields);
}

/** Ends the session. */
export async function endSession(exchange: Exchange): Promise<void> {
  const { service, request: { headers: { cookie = "" } }, operation } = exchange;
  operation.subject = { ...operation.subject, op: "logout" };
  const forget: string[] = [];
  for (const text of sessionsIn(cookie, service)) {
    // Others are of other servers at this host.
    if (await service.sessions.end(text)) forget.push(takeSession(text, service));
  }
  exchange.send(204, { ...NO_STORE, ...forget.length > 0 ? { "set-cookie": forget } : {} });
}

function describe({ service: { authority } }: Exchange, { caller, by }: LoggedIn) {
  const { token, principal: { grants } } = caller;
  return {
    token: token ? { id: token.id, name: token.name, expires: token.expires } : null,
    scopes: scopesOf(grants),
    grants,
    mayLogIn: authority.mechanism !== "none",
    by: token ? by : null,
  };
}
