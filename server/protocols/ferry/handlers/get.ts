/**
 * `get`: sends a file, or a range of it, as the body of the reply.
 *
 * @module
 */

import { quote } from "../../../../lib/core/errors.ts";
import { readWhole, sendSized } from "../../../../lib/transfer/send.ts";
import { type GetRequest, isRange } from "../../../../lib/wire/operations/get.ts";
import { checksumKeys } from "../../../../lib/wire/checksum_keys.ts";
import type { OpenFileOptions } from "../../../files/opened_file.ts";
import type { Handler } from "../exchange/exchange.ts";

/**
 * Files up to this size, in bytes, are read before their reply begins: that is faster than looking up their checksum.
 */
const SMALL_BYTES = 64 * 1024;

/** Answers a `get`. */
export const get: Handler<GetRequest> = {
  action: ({ filename }) => `get ${quote(filename)}`,

  async answer(exchange) {
    const { connection, request, permit, operation } = exchange;
    const { wire } = connection;
    const { buffers, digests } = wire.runtime;
    const { filename, algorithm } = request;
    await using file = await exchange.files.open(filename, optionsOf(request));
    const { size, mtime, mode } = file.entry;
    const header = { status: "ok", filename, size, mtime, mode };
    const isWhole = !isRange(request) && request.offset === 0n;
    if (isWhole && size <= SMALL_BYTES && buffers.has(size)) {
      using lent = buffers.lend(size);
      const { bytes } = lent;
      const checksum = await readWhole(file, { into: bytes, algorithm, digests });
      operation.checksum = checksum;
      const keys = { offset: 0, ...checksumKeys(algorithm, checksum), total_size: size };
      return await exchange.stream(() => wire.writeFrame({ ...header, ...keys }, bytes));
    }
    // A sized body has no place for an error, so the connection is closed when the permit ends.
    using _watch = permit.onEnd((error) => connection.close(error));
    return await exchange.stream(async () => {
      const { content, checksum } = file;
      const { offset } = content;
      const place = file.isRange ? { start: offset, version: file.version } : { offset };
      const sent = await sendSized(wire, { ...header, ...place }, file, {
        ...content,
        checksum,
        algorithm,
      });
      if (!file.isRange) {
        operation.checksum = sent.checksum;
        operation.resumedFrom = offset;
      }
      await file.remember(sent.checksum);
    });
  },
};

function optionsOf(request: GetRequest): OpenFileOptions {
  const { algorithm, start, count, offset, version } = request;
  if (isRange(request)) {
    return { algorithm, version, range: { start: numberOf(start), count: numberOf(count) } };
  }
  if (offset === 0n) return { algorithm };
  const { ifChecksum, prefix_md5, prefix_xxh128 } = request;
  return {
    algorithm,
    prefix: {
      size: Number(offset),
      ofChecksum: ifChecksum,
      md5: prefix_md5,
      xxh128: prefix_xxh128,
    },
  };
}

/** Converts a bigint to a number. One that a number cannot hold exactly becomes a value larger than any file. */
function numberOf(size: bigint | undefined): number | undefined {
  return size === undefined ? undefined : Number(size);
}
