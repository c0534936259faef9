/**
 * Proof of what is stored: files that the server reads again, and receipts.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import { type FerryError, mayPass, quote, toFerryError } from "../../lib/core/errors.ts";
import { parseReceipt, type SignedReceipt } from "../../lib/core/receipt.ts";
import type { Verdict } from "../../lib/core/verdict.ts";
import type { Connection } from "../net/connection.ts";
import { type Answer, confirmEach, type Settle, verifyEach } from "../net/proof_requests.ts";
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
export function verify(
  requests: Requests,
  files: Iterable<{ filename: string; algorithm?: Algorithm | undefined }>,
  { onVerified, ...options }: VerifyOptions,
): Promise<void> {
  const all = Array.from(files, ({ filename, algorithm = "md5" }) => ({ filename, algorithm }));
  return forEachFile(requests, "verify", all, options, verifyEach, ({ filename }, reply) => {
    const { size, mtime, checksum, verdict } = reply;
    onVerified({ filename, size, mtime, checksum, verdict });
  });
}

/** Options of {@linkcode Client.confirm}. */
export interface ConfirmOptions extends RequestOptions {
  /** Called with the receipt of each file, in order. */
  onReceipt(receipt: SignedReceipt): void;
  /** Called with each file that the server does not confirm: `exists` if it has another content now, `not_found`, …. */
  onError(filename: string, error: FerryError): void;
}

/** A file for {@linkcode Client.confirm}, such as the result of an upload. */
export interface StoredFileFacts {
  /** The name on the server. */
  readonly filename: string;
  /** The size in bytes that it should have. */
  readonly size: number;
  /** The checksum that it should have; null for any. */
  readonly checksum: Checksum | null;
}

/** Asks for receipts; see `Client.confirm`. */
export function confirm(
  requests: Requests,
  files: Iterable<StoredFileFacts>,
  { onReceipt, ...options }: ConfirmOptions,
): Promise<void> {
  const all = Array.from(files, ({ filename, size, checksum }) => {
    const algorithm = checksum === null ? "md5" as const : algorithmOf(checksum)!;
    return { filename, size, checksum, algorithm };
  });
  return forEachFile(requests, "confirm", all, options, confirmEach, (_file, { receipt }) => {
    onReceipt(parseReceipt(receipt));
  });
}

/** Asks about files, one after the other. Where a connection is lost, the next one goes on with what was not answered. */
async function forEachFile<File extends { filename: string; algorithm: Algorithm }, Reply>(
  requests: Requests,
  action: string,
  files: readonly File[],
  { onError, signal }: RequestOptions & Pick<VerifyOptions, "onError">,
  ask: (
    connection: Connection,
    files: readonly File[],
    settle: Settle<File, Reply>,
  ) => Promise<void>,
  take: (file: File, reply: Reply) => void,
): Promise<void> {
  let answered = 0;
  await requests.make(`${action} the files`, { signal }, async (connection) => {
    for (const { algorithm } of files) connection.assertOffers(algorithm);
    await ask(connection, files.slice(answered), (file, answer: Answer<Reply>) => {
      if ("reply" in answer) take(file, answer.reply);
      else {
        const failure = toFerryError(answer.failure).during(`${action} ${quote(file.filename)}`);
        // It is asked for again, as everything after it.
        if (mayPass(failure)) throw failure;
        onError(file.filename, failure);
      }
      answered++;
    });
  });
}
