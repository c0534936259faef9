/**
 * Errors as HTTP responses: a status, and a JSON problem (RFC 9457).
 *
 * @module
 */

import { STATUS_CODES } from "node:http";
import type { ErrorCode, FerryError } from "../../../../lib/core/errors.ts";
import { isLinkEnded } from "../../../shares/share.ts";

/** The status of each code. */
const STATUS: Readonly<Record<ErrorCode, number>> = {
  internal: 500,
  io: 500,
  usage: 400,
  auth_required: 401,
  denied: 403,
  not_found: 404,
  exists: 412,
  bad_name: 400,
  too_large: 413,
  quota: 507,
  no_space: 507,
  not_a_file: 409,
  unreachable: 502,
  timeout: 408,
  busy: 503,
  closed: 400,
  checksum_mismatch: 422,
  bad_header: 400,
  bad_version: 505,
};

/** A problem, as `application/problem+json` has it. */
export interface Problem {
  /** The status of the response. */
  readonly status: number;
  /** The stable code of the error. */
  readonly code: ErrorCode;
  /** What the status means. */
  readonly title: string;
  /** What went wrong, for people. */
  readonly detail: string;
}

/** An error with a status that its code does not say. */
export class HttpFailure extends Error {
  /** The status of the response. */
  readonly status: number;
  /** The error. */
  readonly failure: FerryError;
  /** Header fields of the response. */
  readonly fields: Readonly<Record<string, string>>;

  /**
   * @param status the status of the response
   * @param failure the error, whose code stays as it is
   * @param fields further header fields of the response, such as `Allow`
   */
  constructor(status: number, failure: FerryError, fields: Readonly<Record<string, string>> = {}) {
    super(failure.message, { cause: failure });
    this.status = status;
    this.failure = failure;
    this.fields = fields;
  }
}

/** The status of an error. */
export function statusOf(failure: FerryError): number {
  return isLinkEnded(failure) ? 410 : STATUS[failure.code];
}

/** The problem that describes an error. */
export function problemOf(failure: FerryError, status: number = statusOf(failure)): Problem {
  const { code, message } = failure;
  // What was not foreseen may hold what a client must not see.
  const detail = code === "internal" ? "an unexpected error; the server's log tells more" : message;
  return { status, code, title: STATUS_CODES[status] ?? "", detail };
}
