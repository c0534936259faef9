/**
 * Verification of stored files: the server reads them again.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { type FerryError, mayPass, quote, toFerryError } from "../../lib/core/errors.ts";
import type { Verdict } from "../../lib/core/verdict.ts";
import { type FileToVerify, verifyEach } from "../net/verifications.ts";
import type { RequestOptions } from "../transfer/options.ts";
import type { Requests } from "./requests.ts";

/** A file that the server has read again. */
export interface Verified {
  /** The name on the server. */
  readonly filename: string;
  /** Its size in bytes. */
  readonly size: number;
  /** The modification time in milliseconds since 1970. */
  readonly mtime: number;
  /** The checksum of its bytes as they are now. */
  readonly checksum: Checksum;
  /** How that compares with the checksum that the server has recorded. */
  readonly verdict: Verdict;
}

/** Options of {@linkcode Client.verify}. */
export interface VerifyOptions extends RequestOptions {
  /** Called with each file that was read, damaged ones too, in order. */
  onVerified(file: Verified): void;
  /** Called with each file that could not be read: `not_found`, `not_a_file`, `denied`, `io`. */
  onError(filename: string, error: FerryError): void;
}

/** Verifies files; see `Client.verify`. */
export async function verify(
  requests: Requests,
  files: Iterable<{ filename: string; algorithm?: Algorithm | undefined }>,
  { onVerified, onError, signal }: VerifyOptions,
): Promise<void> {
  const all: FileToVerify[] = Array.from(files, ({ filename, algorithm = "md5" }) => {
    return { filename, algorithm };
  });
  // Where a connection is lost, the next one goes on with what was not answered.
  let answered = 0;
  await requests.make("verify the files", { signal }, async (connection) => {
    for (const { algorithm } of all) connection.assertOffers(algorithm);
    let asked = answered;
    await verifyEach(connection, () => all[asked++], ({ filename }, result) => {
      if ("failure" in result) {
        const failure = toFerryError(result.failure).during(`verify ${quote(filename)}`);
        // It is asked for again, as everything after it.
        if (mayPass(failure)) throw failure;
        answered++;
        return onError(filename, failure);
      }
      answered++;
      const { size, mtime, checksum, verdict } = result.reply;
      onVerified({ filename, size, mtime, checksum, verdict });
    });
  });
}
