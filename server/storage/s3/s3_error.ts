/**
 * What an object store answers instead of what it was asked for, and which failure of ferry that is.
 *
 * @module
 */

import { type ErrorCode, FerryError, toFerryError } from "../../../lib/core/errors.ts";

/** What an {@linkcode S3Error} knows besides its status and its code. */
export interface S3ErrorDetails {
  /** The store's explanation. Default: "". */
  message?: string | undefined;
  /** The region that the store says it belongs to. Default: undefined. */
  region?: string | undefined;
  /** How long the store asks to wait before a retry, in milliseconds. Default: undefined. */
  retryAfter?: number | undefined;
  /** How far the clock of the store is ahead of this machine's, in milliseconds. Default: undefined. */
  clockAhead?: number | undefined;
}

/** An error that an object store answered with. */
export class S3Error extends Error {
  /** Always `S3Error`. */
  override readonly name = "S3Error";
  /** The HTTP status. It is 200 for an error that a store found after it had begun to answer. */
  readonly status: number;
  /** The store's code, such as `NoSuchKey`; "" if the answer has none. */
  readonly code: string;
  /** What else the answer says. */
  readonly details: S3ErrorDetails;

  /** Creates an error from what an answer says. */
  constructor(status: number, code: string, details: S3ErrorDetails = {}) {
    super(`${status} ${code}: ${details.message ?? ""}`);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** The status and the code of the answer behind an error; undefined if no answer is behind it. */
export function s3ErrorOf(error: unknown): S3Error | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof S3Error) return at;
  }
  return undefined;
}

/** Codes of answers that are worth a retry, whatever their status. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  "BadDigest",
  "ConditionalRequestConflict",
  "ConcurrentModification",
  "IncompleteBody",
  "InternalError",
  "OperationAborted",
  "RequestTimeout",
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "RequestThrottled",
  "TooManyRequests",
]);

/** Statuses of answers that are worth a retry, whatever their code. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504, 509]);

/** Whether a request that was answered with an error may succeed when it is repeated. */
export function isPassing({ status, code }: S3Error): boolean {
  return PASSING_CODES.has(code) || PASSING_STATUSES.has(status);
}

/** Codes of answers to requests with credentials that have expired, whose status is not that of a refusal. */
const EXPIRED_CODES: ReadonlySet<string> = new Set([
  "ExpiredToken",
  "InvalidToken",
  "TokenRefreshRequired",
]);

/** Whether other credentials may help. */
export function blamesCredentials({ status, code }: S3Error): boolean {
  return status === 401 || status === 403 || EXPIRED_CODES.has(code);
}

/** A clock that is wrong by more than this many milliseconds makes stores refuse all signatures. */
const MOST_SKEW = 15 * 60_000;

/** The codes and reasons for codes of answers. */
const BY_CODE: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  AccessDenied: ["io", "the object store denies access with these credentials"],
  AccountProblem: ["io", "the object store has blocked the account"],
  AllAccessDisabled: ["io", "the object store has blocked the bucket"],
  ExpiredToken: ["io", "the session token for the object store has expired"],
  InvalidAccessKeyId: ["io", "the object store does not know the access key"],
  InvalidToken: ["io", "the object store does not accept the session token"],
  SignatureDoesNotMatch: ["io", "the object store refuses the signature: a key is wrong"],
  NoSuchBucket: ["io", "the bucket does not exist"],
  NoSuchUpload: ["not_found", "there is no such multipart upload in the object store"],
  KeyTooLongError: ["bad_name", "the name is longer than the object store takes"],
  InvalidObjectName: ["bad_name", "the object store takes no such name"],
  InvalidURI: ["bad_name", "the object store takes no such name"],
  EntityTooLarge: ["too_large", "the object store takes no object of that size"],
  QuotaExceeded: ["quota", "the quota of the bucket in the object store is used up"],
  InsufficientStorage: ["no_space", "the object store is full"],
  ConditionalRequestConflict: ["busy", "the object is being changed by another request"],
  OperationAborted: ["busy", "the object is being changed by another request"],
  BadDigest: ["checksum_mismatch", "the object store received other bytes than were sent"],
  RequestTimeout: ["timeout", "the object store did not receive the request in time"],
};

/** The codes and reasons for statuses of answers without a code that is known. */
const BY_STATUS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  401: ["io", "the object store refuses the credentials"],
  403: ["io", "the object store denies access with these credentials"],
  413: ["too_large", "the object store takes no object of that size"],
  414: ["bad_name", "the name is longer than the object store takes"],
  429: ["busy", "the object store is overloaded"],
  502: ["unreachable", "the gateway of the object store cannot reach it"],
  503: ["busy", "the object store is overloaded or not ready"],
  504: ["unreachable", "the gateway of the object store got no answer from it"],
  507: ["no_space", "the object store is full"],
};

/** The failure for an answer of an object store. */
export function failureOf(error: S3Error): FerryError {
  return new FerryError(...explained(error), { cause: error });
}

function explained(error: S3Error): readonly [ErrorCode, string] {
  const { status, code, details } = error;
  const { clockAhead = 0, region } = details;
  const skewed = (status === 403 || status === 400) && Math.abs(clockAhead) > MOST_SKEW;
  if (code === "RequestTimeTooSkewed" || skewed) {
    return ["io", `the object store refuses the time of this machine${clockText(clockAhead)}`];
  }
  if (code === "AuthorizationHeaderMalformed" || (status >= 300 && status < 400)) {
    const where = region === undefined ? "another region or endpoint" : `the region ${region}`;
    return ["io", `the bucket belongs to ${where}`];
  }
  const known = BY_CODE[code] ?? BY_STATUS[status];
  if (known) return known;
  if (code === "SlowDown") return BY_STATUS[503]!;
  const said = [status, code].filter((part) => part !== "").join(" ");
  return ["io", `the object store answered ${said}`];
}

function clockText(ahead: number): string {
  const minutes = Math.round(Math.abs(ahead) / 60_000);
  return minutes === 0
    ? ": their clocks differ by more than 15 minutes"
    : `, which is ${minutes} minutes ${ahead > 0 ? "behind" : "ahead of"} its own`;
}

/** Why a request got no answer, or only a part of one. */
export type ConnectionProblem =
  | "certificate"
  | "closed"
  | "dns"
  | "network"
  | "not http"
  | "not https"
  | "refused"
  | "reset"
  | "timeout";

/** How the problems are recognized in the runtime's messages, which is the only place that has them. */
const PROBLEMS: Readonly<Record<ConnectionProblem, readonly [RegExp, string]>> = {
  "refused": [/connection refused|ECONNREFUSED/i, "connection refused"],
  "reset": [
    /connection reset|broken pipe|ECONNRESET|EPIPE|socket hang up/i,
    "the connection was reset",
  ],
  "dns": [
    /dns error|failed to lookup|ENOTFOUND|EAI_AGAIN/i,
    "the host name of the endpoint is not known",
  ],
  "not https": [/InvalidContentType|corrupt message|wrong version/i, "it does not speak https"],
  "certificate": [/certificate/i, "its certificate is not trusted"],
  "not http": [/invalid HTTP|InvalidVersion|invalid header|URI|Parse/, "it does not speak http"],
  "timeout": [/timed out|ETIMEDOUT/i, "the connection timed out"],
  "network": [/unreachable|EHOSTUNREACH|ENETUNREACH/i, "its network cannot be reached"],
  "closed": [/closed|incomplete|eof|end of file|body from connection/i, "the connection was cut"],
};

/** The problem behind an error of the runtime; undefined for one that is not known. */
export function connectionProblem(error: unknown): ConnectionProblem | undefined {
  const message = deepestMessage(error);
  return (Object.keys(PROBLEMS) as ConnectionProblem[])
    .find((problem) => PROBLEMS[problem][0].test(message));
}

/** The failure for a request that got no answer, or only a part of one. */
export function connectionFailure(error: unknown): FerryError {
  if (!(error instanceof TypeError)) return toFerryError(error);
  const problem = connectionProblem(error);
  const why = problem === undefined ? deepestMessage(error) : PROBLEMS[problem][1];
  return new FerryError("unreachable", `no answer from the object store: ${why}`, { cause: error });
}

/** The message of the first cause, without the URL of the request, which has the key in it. */
function deepestMessage(error: unknown): string {
  let deepest = error;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  const message = deepest instanceof Error ? deepest.message : String(deepest);
  const [, why = message] = /client error \(\w+\): ([^]*)$/.exec(message) ?? [];
  return why.startsWith("error sending request") ? "the request failed" : why;
}
