/**
 * Who makes a request: by the token that it shows, or the session that its cookie names.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import { sourceOf } from "../../../../lib/core/source_address.ts";
import type { Token } from "../../../../lib/security/token.ts";
import { TokenCaller } from "../../../auth/caller.ts";
import type { HttpService } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";
import { sessionsIn } from "./cookies.ts";
import { tokenIn } from "./credentials.ts";

/** After how many seconds a client may try again whose login was refused because too many have failed. */
const RETRY_SECONDS = 5;

/** A request, and what it is answered by. */
export interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly service: HttpService;
}

/** Who makes a request, and how that is known. */
export interface LoggedIn {
  readonly caller: TokenCaller;
  /** What the request showed; null if it showed nothing that is valid. */
  readonly by: "authorization" | "cookie" | null;
}

/**
 * Finds out who makes a request. A cookie that is no longer valid counts as none.
 *
 * @param options.cookies whether cookies count
 * @throws {HttpFailure} 401 for a token that is not valid
 * @throws {FerryError} `busy` after too many tokens that were not
 */
export async function loginOf(
  asked: Asked,
  { cookies = true }: { cookies?: boolean } = {},
): Promise<LoggedIn> {
  const { request: { headers, headersDistinct }, service } = asked;
  const { authorization, cookie } = headers;
  if (authorization !== undefined) {
    if (headersDistinct["authorization"]!.length > 1) {
      throw new FerryError("bad_header", "the header field authorization is there more than once");
    }
    return {
      caller: await callerShowing(() => tokenIn(authorization), asked),
      by: "authorization",
    };
  }
  if (cookies && cookie !== undefined) {
    for (const text of sessionsIn(cookie, service)) {
      const caller = await service.sessions.callerOf(text);
      if (caller) return { caller, by: "cookie" };
    }
  }
  return { caller: TokenCaller.anonymous(service.authority), by: null };
}

/**
 * The client that shows a token.
 *
 * @param read returns the token
 * @throws {HttpFailure} 401 if it is not valid, or is none
 * @throws {FerryError} `busy` after too many tokens that were not
 */
export async function callerShowing(
  read: () => Token,
  { request, response, service }: Asked,
): Promise<TokenCaller> {
  const action = "take the token";
  try {
    return await service.tokens.check(read(), {
      source: sourceOf(request.socket.remoteAddress ?? ""),
      ended: () => endOf(response),
    });
  } catch (error) {
    const failure = toFerryError(error).during(action);
    if (failure.code === "denied") throw new HttpFailure(401, failure);
    if (failure.code !== "busy") throw failure;
    throw new HttpFailure(503, failure, { "retry-after": String(RETRY_SECONDS) });
  }
}

/** A signal that is aborted when the connection ends before there is a response. */
function endOf(response: ServerResponse): AbortSignal {
  const ended = new AbortController();
  response.once("close", () => {
    ended.abort(new FerryError("closed", "the connection ended"));
  });
  return ended.signal;
}
