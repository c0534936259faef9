/**
 * Requests for proof of what is stored, each about one of many files.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import type { Header } from "../../lib/wire/codec.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { ReceiptReply } from "../../lib/wire/operations/receipt.ts";
import type { VerifyReply } from "../../lib/wire/operations/verify.ts";
import type { Schema } from "../../lib/wire/schema.ts";
import type { Connection } from "./connection.ts";
import { assertAnswers, type RequestHeader } from "./reply_check.ts";

/** A file to be read again. */
export interface FileToVerify {
  /** The name on the server. */
  readonly filename: string;
  /** The algorithm of the checksum that is wanted of its bytes. */
  readonly algorithm: Algorithm;
}

/** A file that is to be confirmed. */
export interface FileToConfirm {
  /** The name on the server. */
  readonly filename: string;
  /** The size in bytes that it should have. */
  readonly size: number;
  /** The checksum that it should have; null for any. */
  readonly checksum: Checksum | null;
  /** The algorithm of the checksum in the receipt. */
  readonly algorithm: Algorithm;
}

/** The reply about a file, or its failure. */
export type Answer<Reply> = { readonly reply: Reply } | { readonly failure: unknown };

/**
 * Takes the answer about each file, in order. What it throws ends the connection.
 */
export type Settle<File, Reply> = (file: File, answer: Answer<Reply>) => void;

/**
 * Makes the server read files again, by pipelined requests.
 *
 * @throws {FerryError} the failure that ends the connection; `bad_version` where the server does not know the operation
 */
export function verifyEach(
  connection: Connection,
  files: readonly FileToVerify[],
  settle: Settle<FileToVerify, VerifyReply>,
): Promise<void> {
  connection.assertFeature("verify", "the verification of files");
  const headerFor = ({ filename, algorithm }: FileToVerify) => {
    return { op: "verify", filename, ...checksumKeys(algorithm, null) };
  };
  return askEach(connection, files, { schema: OPERATIONS.verify.reply, headerFor, settle });
}

/** Makes the server confirm that it has stored files, by pipelined requests; throws as {@linkcode verifyEach}. */
export function confirmEach(
  connection: Connection,
  files: readonly FileToConfirm[],
  settle: Settle<FileToConfirm, ReceiptReply>,
): Promise<void> {
  connection.assertFeature("receipt", "receipts");
  const headerFor = ({ filename, size, checksum, algorithm }: FileToConfirm) => {
    return { op: "receipt", filename, size, ...checksumKeys(algorithm, checksum) };
  };
  return askEach(connection, files, { schema: OPERATIONS.receipt.reply, headerFor, settle });
}

function askEach<File, Reply>(
  { channel }: Connection,
  files: readonly File[],
  { schema, headerFor, settle }: {
    schema: Schema<Reply>;
    headerFor(file: File): RequestHeader;
    settle: Settle<File, Reply>;
  },
): Promise<void> {
  const left = files.values();
  const next = () => {
    const { value: item, done } = left.next();
    return done ? undefined : { item, header: headerFor(item) };
  };
  return channel.pipeline(next, ({ header: reply }, { header, item }) => {
    settle(item, answerIn(schema, header, reply));
  });
}

function answerIn<Reply>(
  schema: Schema<Reply>,
  request: RequestHeader,
  header: Header,
): Answer<Reply> {
  try {
    assertAnswers(request, header);
    return { reply: parseReply(schema, header) };
  } catch (failure) {
    return { failure };
  }
}
