/**
 * Requests that read files of the server again.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import type { Header } from "../../lib/wire/codec.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { VerifyReply } from "../../lib/wire/operations/verify.ts";
import type { Connection } from "./connection.ts";
import { assertAnswers, type RequestHeader } from "./reply_check.ts";
import { mapped, type MaybePromise, type PipelinedItem } from "./request_channel.ts";

/** A file to be read again. */
export interface FileToVerify {
  /** The name on the server. */
  readonly filename: string;
  /** The algorithm of the checksum that is wanted of its bytes. */
  readonly algorithm: Algorithm;
}

/** The reply about a file, or its failure. */
export type VerifyResult = { readonly reply: VerifyReply } | { readonly failure: unknown };

/**
 * Makes the server read files again, by pipelined requests.
 *
 * @param next returns the next file; undefined where there are no more
 * @param settle called for each file, in order: with the reply, or with its failure. What it throws ends the connection
 * @throws {FerryError} the failure that ends the connection; `bad_version` where the server does not know the operation
 */
export function verifyEach<Item extends FileToVerify>(
  connection: Connection,
  next: () => MaybePromise<Item | undefined>,
  settle: (item: Item, result: VerifyResult) => void,
): Promise<void> {
  connection.assertFeature("verify", "the verification of files");
  const requestFor = (item: Item | undefined): PipelinedItem<Item> | undefined => {
    if (!item) return undefined;
    const { filename, algorithm } = item;
    return { item, header: { op: "verify", filename, ...checksumKeys(algorithm, null) } };
  };
  return connection.channel.pipeline(
    () => mapped(next(), requestFor),
    ({ header: reply }, { header, item }) => {
      settle(item, resultOf(header, reply));
    },
  );
}

function resultOf(request: RequestHeader, header: Header): VerifyResult {
  try {
    assertAnswers(request, header);
    return { reply: parseReply(OPERATIONS.verify.reply, header) };
  } catch (failure) {
    return { failure };
  }
}
