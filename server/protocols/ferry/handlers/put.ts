/**
 * `put`: stores a file that is sent as the body.
 *
 * @module
 */

import { unkeptKey } from "../../../../lib/core/entry.ts";
import { FerryError, quote } from "../../../../lib/core/errors.ts";
import type { Committed } from "../../../../lib/files/commit.ts";
import type { PutRequest } from "../../../../lib/wire/operations/put.ts";
import { checksumKeys } from "../../../../lib/wire/checksum_keys.ts";
import type { IncomingBody } from "../../../../lib/wire/body.ts";
import type { ReceivedUpload, UploadStart } from "../../../files/upload.ts";
import type { Handler } from "../exchange/exchange.ts";
import type { ReplyHeader } from "../exchange/reply_queue.ts";

/** Answers a `put`. The reply is sent when the file is published; following requests are read meanwhile. */
export const put: Handler<PutRequest> = {
  action: ({ filename }) => `put ${quote(filename)}`,
  overlaps: true,
  readsBody: true,

  async answer(exchange) {
    const { connection, request, body, permit } = exchange;
    const upload = uploadOf(request, body);
    if (upload.offset === 0) await connection.releaseOffered();
    const { overwrite, stage } = request;
    // These policies compare with the existing file, which an earlier put may still be publishing. In a staged tree,
    // whatever is there is replaced.
    if (stage === undefined && (overwrite === "newer" || overwrite === "different")) {
      await connection.replies.settle();
    }
    const uploads = await exchange.uploadsInto(stage);
    const receiving = uploads.put(upload, body, connection.offered);
    let received: ReceivedUpload;
    try {
      received = await permit.wait(receiving);
    } catch (error) {
      // If it is published after all, nobody is told: its failure is ignored.
      return await exchange.refuse(error, receiving.then(({ published }) => published));
    }
    const { published } = received;
    return await exchange.replyLater(published.then((committed) => keysOf(request, committed)));
  },
};

/**
 * Converts the header of a request to an upload.
 *
 * @throws {FerryError} `bad_header`
 */
function uploadOf(request: PutRequest, body: IncomingBody): UploadStart {
  const { filename, algorithm, overwrite, mtime, mode, size, offset, sparse } = request;
  const basis = request.basis === undefined
    ? undefined
    : { filename: request.basis, version: request.basis_version! };
  // A header may be sent without a checksum. Comparing its two lengths detects one that was damaged on the way.
  if (!basis && body.size !== null && size !== undefined && body.size !== size - offset) {
    throw new FerryError("bad_header", "total_size is not size minus offset");
  }
  if (basis && offset > size!) throw new FerryError("bad_header", "offset is more than size");
  // The body's length is the file's, unless the body is only the rest, or a recipe.
  const wholeSize = offset > 0n || basis ? size ?? null : body.size;
  return {
    filename,
    size: wholeSize === null ? null : Number(wholeSize),
    algorithm,
    overwrite,
    offset: Number(offset),
    mtime,
    mode,
    sparse,
    basis,
  };
}

function keysOf(
  { filename, algorithm }: PutRequest,
  { checksum, size, unchanged, unkept }: Committed,
): ReplyHeader {
  return {
    filename,
    ...checksumKeys(algorithm, checksum),
    size,
    unchanged,
    ...unkeptKey(unkept),
  };
}
