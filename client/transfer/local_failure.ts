/**
 * On which side something failed.
 *
 * @module
 */

import { type ErrorCode, type FerryError, fileError } from "../../lib/core/errors.ts";

/** What is of the connection, or of both sides, and so of no path. */
const BETWEEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "auth_required",
  "bad_header",
  "bad_version",
  "checksum_mismatch",
  "closed",
  "internal",
  "timeout",
  "unreachable",
  "usage",
]);

/**
 * A failure of a transfer with a local path, saying that it was on this machine. A server's failures say that they
 * are that; where nothing does, and it is not the connection, it was the local file.
 */
export function localFailure(error: unknown, path: string): FerryError {
  const failure = fileError(error);
  return BETWEEN.has(failure.code) ? failure : failure.at({ side: "here", path });
}

/** Whether a failure was one of this machine's files, and so of none of the next. */
export function isLocalFailure(error: unknown): boolean {
  return fileError(error).place?.side === "here";
}
