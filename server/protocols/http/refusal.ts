/**
 * The response to bytes that cannot be understood as a request.
 *
 * @module
 */

import { STATUS_CODES } from "node:http";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Connection } from "./exchange/connection.ts";
import { problemOf } from "./exchange/problem.ts";

/** An error, and the status of the response if its code does not say that. */
export interface Refusal {
  readonly failure: FerryError;
  readonly status: number | undefined;
}

/** The refusal of a CONNECT. */
export const NO_TUNNEL: Refusal = {
  failure: new FerryError("usage", "this is no proxy: it takes no CONNECT"),
  status: 501,
};

/** The refusal for an error that `node:http` reports of a connection; undefined if the connection has failed. */
export function refusalOf(error: Error): Refusal | undefined {
  const { code = "", message } = error as Error & { code?: string };
  if (code === "HPE_HEADER_OVERFLOW") {
    return { failure: new FerryError("too_large", "the header is too long"), status: 431 };
  }
  if (code === "HPE_INVALID_EOF_STATE") {
    const reason = "the connection ended in the middle of a request";
    return { failure: new FerryError("closed", reason), status: undefined };
  }
  if (!code.startsWith("HPE_")) return undefined;
  const why = message.replace(/^Parse Error:? ?/, "");
  const reason = `this is no valid HTTP request${why && `: ${why}`}`;
  return { failure: new FerryError("bad_header", reason), status: undefined };
}

/** Responds to what cannot be understood, and ends the connection. */
export function refuse(connection: Connection, { failure, status }: Refusal): void {
  const problem = problemOf(failure, status);
  const body = `${JSON.stringify(problem)}\n`;
  const header = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${new TextEncoder().encode(body).length}`,
    "Cache-Control: no-store",
    "Connection: close",
    `Date: ${new Date(connection.runtime.clock.now()).toUTCString()}`,
  ];
  connection.socket.write(`${header.join("\r\n")}\r\n\r\n${body}`);
  connection.close();
}
