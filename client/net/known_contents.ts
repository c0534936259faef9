/**
 * Uploads of files whose content the server has already under other names: it copies them.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import { VARINT_BYTES, writeVarint } from "../../lib/delta/varint.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { Connection } from "./connection.ts";
import { type FileToPut, putHeader } from "./file_requests.ts";
import { assertAnswers, assertStored } from "./reply_check.ts";
import type { PipelinedRequest } from "./request_channel.ts";

/** The name of the protocol feature. */
export const KNOWN = "known";

/** A file on the server that probably has a wanted content. */
export interface KnownContent {
  /** The name on the server. */
  readonly filename: string;
  /** The version that has the content, as the server named it. */
  readonly version: string;
}

/** A file that the server copies from another one. */
export interface KnownUpload {
  /** The file, with its checksum and its size. */
  readonly request: FileToPut & { readonly checksum: Checksum; readonly size: number };
  /** The file that it is copied from. */
  readonly known: KnownContent;
}

/**
 * Uploads files as copies of others, by pipelined requests.
 *
 * @param next returns the next item; undefined where there are no more
 * @param settle called for each item, with the reply or with its failure: `checksum_mismatch` where the other file has
 * another content, `busy` where it has changed, …
 * @throws {FerryError} the failure that ends the connection
 */
export function putKnown<Item extends KnownUpload>(
  { channel }: Connection,
  next: () => Item | undefined,
  settle: (item: Item, reply: PutReply | undefined, failure?: unknown) => void,
): Promise<void> {
  const requestFor = (item: Item | undefined): PipelinedCopy<Item> | undefined => {
    if (!item) return undefined;
    const { request, known: { filename, version } } = item;
    const body = recipeOfCopy(request.size);
    const copied = { basis: filename, basis_version: version, total_size: body.length };
    return { item, header: { ...putHeader(request), ...copied }, body };
  };
  return channel.pipeline(() => requestFor(next()), (reply, { header, item }) => {
    let stored: PutReply;
    try {
      assertAnswers(header, reply.header);
      stored = parseReply(OPERATIONS.put.reply, reply.header);
      if (!stored.unchanged) assertStored(stored, item.request);
    } catch (error) {
      return settle(item, undefined, error);
    }
    settle(item, stored);
  });
}

interface PipelinedCopy<Item> extends PipelinedRequest {
  item: Item;
}

/** The recipe of a content that is nothing but a copy of the first `size` bytes of its basis, above 0. */
function recipeOfCopy(size: number): Uint8Array {
  const bytes = new Uint8Array(3 * VARINT_BYTES);
  // No literal bytes, then a copy from where the last one ended: from the start.
  let length = 0;
  for (const value of [0, size, 0]) length = writeVarint(bytes, length, value);
  return bytes.subarray(0, length);
}
