/**
 * Uploads of many small things, by pipelined requests: files whose bytes are in memory, directories, symbolic links.
 *
 * @module
 */

import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { LinkReply } from "../../lib/wire/operations/link.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { Connection } from "./connection.ts";
import { type FileToPut, putHeader } from "./file_requests.ts";
import { assertAnswers, assertStored, type RequestHeader } from "./reply_check.ts";
import {
  mapped,
  type MaybePromise,
  type PipelinedItem,
  type RequestChannel,
} from "./request_channel.ts";

/** A symbolic link to be made on the server. */
export interface LinkToPut {
  /** The name on the server. */
  readonly filename: string;
  /** What it says. */
  readonly target: string;
  /** What to do where the name is taken. */
  readonly overwrite: Overwrite;
  /** The modification time of the link itself, in milliseconds since 1970. Default: it is not set. */
  readonly mtime?: number | undefined;
}

/** One of many pipelined requests: an upload of a file whose bytes are in memory, a new directory, or a link. */
export type SmallUpload =
  | { readonly request: FileToPut; readonly body: Uint8Array }
  | { readonly directory: string; readonly stage?: string | undefined }
  | { readonly link: LinkToPut };

/** What the server replied to a {@linkcode SmallUpload}; nothing to a directory. */
export type SmallReply = PutReply | LinkReply | undefined;

/** See `Connection.putEach`. */
export function putEach<Item extends SmallUpload>(
  channel: RequestChannel,
  next: () => MaybePromise<Item | undefined>,
  settle: (item: Item, reply: SmallReply, failure?: unknown) => void,
): Promise<void> {
  const requestFor = (item: Item | undefined): PipelinedItem<Item> | undefined =>
    item && { item, ...requestOf(item) };
  return channel.pipeline(() => mapped(next(), requestFor), (reply, { header, item }) => {
    let stored: SmallReply;
    try {
      assertAnswers(header, reply.header);
      if ("directory" in item) parseReply(OPERATIONS.mkdir.reply, reply.header);
      else if ("link" in item) stored = parseReply(OPERATIONS.link.reply, reply.header);
      else {
        const file = parseReply(OPERATIONS.put.reply, reply.header);
        const { request: { checksum }, body } = item;
        if (!file.unchanged) assertStored(file, { checksum: checksum!, size: body.length });
        stored = file;
      }
    } catch (error) {
      return settle(item, undefined, error);
    }
    settle(item, stored);
  });
}

function requestOf(item: SmallUpload): { header: RequestHeader; body?: Uint8Array } {
  if ("directory" in item) {
    const { directory: filename, stage } = item;
    return { header: { op: "mkdir", filename, ...(stage === undefined ? {} : { stage }) } };
  }
  if ("link" in item) return { header: { op: "link", ...item.link } };
  const { request, body } = item;
  return { header: { ...putHeader(request), total_size: body.length }, body };
}

/**
 * Makes a symbolic link.
 *
 * @throws {FerryError} `bad_version` where the server keeps none; the server's error
 */
export async function putLink(connection: Connection, link: LinkToPut): Promise<LinkReply> {
  connection.assertFeature("links", "symbolic links");
  return await connection.channel.ask(OPERATIONS.link.reply, { op: "link", ...link });
}
