/**
 * Errors on the wire: the keys `code` and `message` of an error reply, of a closing header that reports an
 * error, and of a line of a list.
 *
 * @module
 */

import { FerryError, isErrorCode, type Place } from "../core/errors.ts";
import type { HeaderKeys } from "./codec.ts";

/** The reply that reports an error. The message of an `internal` error is not sent: it may contain internal details. */
export function errorReply({ code, message }: FerryError): Record<string, unknown> {
  const told = code === "internal"
    ? "an unexpected error; the log of this side tells more"
    : message;
  return { status: "error", code, message: told };
}

/**
 * Throws the error that a header reports, if it reports one.
 *
 * @throws {FerryError} the error that the peer reported
 */
export function throwReported(header: HeaderKeys, side: Place["side"] = "peer"): void {
  if (header.status === "error") throw reportedError(header, side);
}

/** The error that the keys `code` and `message` report. */
export function reportedError({ code, message }: HeaderKeys, side: Place["side"]): FerryError {
  const text = typeof message === "string" && message !== "" ? message : "the peer gave no reason";
  // A newer peer may send codes that are unknown here. `usage` and `unreachable` can only occur on this side.
  const known = isErrorCode(code) && code !== "usage" && code !== "unreachable";
  return FerryError.reported(known ? code : "internal", text, side);
}
