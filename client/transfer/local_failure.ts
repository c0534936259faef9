/**
 * Tells failures of this machine from those of the server and of the connection.
 *
 * @module
 */

import { type ErrorCode, type FerryError, fileError } from "../../lib/core/errors.ts";

/** The codes of errors of the connection, or of both sides, which concern no local path. */
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
 * A failure of a transfer with a local path, marked as a local one. Failures of the server are marked as such; one
 * without a mark that is not of the connection was of the local file.
 */
export function localFailure(error: unknown, path: string): FerryError {
  const failure = fileError(error);
  return BETWEEN.has(failure.code) ? failure : failure.at({ side: "here", path });
}

/** Whether a failure concerns a local file, so that the next files may still succeed. */
export function isLocalFailure(error: unknown): boolean {
  return fileError(error).place?.side === "here";
}
