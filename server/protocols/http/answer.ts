/**
 * Answers requests: finds out who makes one and what it is for, calls its handler, and reports failures.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { TokenCaller } from "../../auth/caller.ts";
import { logFailure } from "../../observe/failures.ts";
import type { OperationSubject } from "../../observe/operation.ts";
import type { Operation } from "../../observe/traffic.ts";
import type { Connection } from "./exchange/connection.ts";
import { Exchange, type HttpService, type View } from "./exchange/exchange.ts";
import { HttpFailure, statusOf } from "./exchange/problem.ts";
import type { RequestBody } from "./exchange/request_body.ts";
import { parseTarget } from "./exchange/target.ts";
import { admit } from "./login/admission.ts";
import { challengeFor } from "./login/credentials.ts";
import { isPagePart, sendPage, wantsPage } from "./page/page.ts";
import { assertWellFormed, distinguishFields } from "./request_header.ts";
import { handlerOf } from "./routes.ts";
import { enterShare, isByLink } from "./shares/entrance.ts";

/** All of the tree. */
const WHOLE: View = { base: "", prefix: "" };

/** A request whose header has arrived. */
export interface ArrivedRequest {
  /** The connection that it arrived on. */
  readonly connection: Connection;
  /** The record of the request, which observers are told of. */
  readonly operation: Operation;
  /** The request. */
  readonly request: IncomingMessage;
  /** The response. */
  readonly response: ServerResponse;
  /** The body. */
  readonly body: RequestBody;
  /** Why nothing is to be done but to refuse it; undefined if there is no reason. */
  readonly refusal?: FerryError | undefined;
}

/** Answers a request. Resolves when nothing is left to do but to send the rest of the response. Never fails. */
export async function answer(service: HttpService, arrived: ArrivedRequest): Promise<void> {
  const { request, response, connection, operation } = arrived;
  distinguishFields(request);
  response.setHeader("x-request-id", operation.id);
  try {
    if (arrived.refusal) throw arrived.refusal;
    assertWellFormed(request);
    const exchange = await open(service, arrived);
    if (!exchange) return operation.end();
    await handlerOf(exchange)(exchange);
    if (!response.headersSent) throw new FerryError("internal", "a handler has not responded");
    operation.end();
  } catch (error) {
    const failure = error instanceof HttpFailure ? error.failure : toFerryError(error);
    operation.end(failure);
    // A response that has begun cannot report anything.
    if (response.headersSent) return connection.destroy();
    const known = error instanceof HttpFailure ? error : undefined;
    await report(service, arrived, { failure, known }).catch((error) => {
      logFailure("Cannot answer {request}: {reason} ({code})", error, {
        properties: { request: operation.id },
      });
      connection.destroy();
    });
  }
}

/** The exchange for a request: who makes it, and what it means; undefined if it was already answered. */
async function open(service: HttpService, arrived: ArrivedRequest): Promise<Exchange | undefined> {
  const { request, response } = arrived;
  const { method, url = "", headers: { host } } = request;
  // OPTIONS may be about the server as a whole.
  const target = parseTarget(method === "OPTIONS" && url === "*" ? "/" : url, host);
  const byLink = isByLink(target);
  const subject = byLink ? "link" : isPagePart(target) ? "page" : "files";
  const caller = await admit(request, response, service, subject);
  if (!caller) return undefined;
  const exchange = new Exchange({ ...arrived, service, target, caller, view: WHOLE });
  return byLink ? await enterShare(exchange) : exchange;
}

/** Responds with an error: to a browser that asks for a document by the page, which says what to do. */
async function report(
  service: HttpService,
  arrived: ArrivedRequest,
  { failure, known }: { failure: FerryError; known: HttpFailure | undefined },
): Promise<void> {
  const target = parseTarget("/");
  const caller = TokenCaller.anonymous(service.authority);
  const exchange = new Exchange({ ...arrived, service, target, caller, view: WHOLE });
  const status = known?.status ?? statusOf(failure);
  const challenge = challengeFor(arrived.request.headers);
  const asked = status === 401 ? { "www-authenticate": challenge } : {};
  const fields = { ...asked, ...known?.fields };
  const isDocument = !arrived.refusal && wantsPage(exchange);
  if (isDocument) await sendPage(exchange, status, fields);
  else exchange.problem(failure, status, fields);
}

/** What observers are told of a request before it is known what it asks for. */
export function subjectOf({ method = "", url = "" }: IncomingMessage): OperationSubject {
  // Whoever knows a whole share link can use it.
  const shown = url.replace(SHARE_LINK, "$1…");
  const target = shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
  return { op: "request", http: { method, target } };
}

/** So many characters of a target are logged. */
const MAX_SHOWN = 255;

/** A share link in a target, with its first characters. */
const SHARE_LINK = /(\/\.ferry\/s\/[^/?]{0,6})[^/?]*/;
