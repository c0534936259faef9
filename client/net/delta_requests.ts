/**
 * Transfers of only those parts of a file that the other side does not have in another version of it.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { ByteSource } from "../../lib/core/bytes.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Ranges } from "../../lib/delta/ranges.ts";
import type { OnBytes } from "../../lib/transfer/receive.ts";
import {
  type PiecesOptions,
  sendDescription,
  sendDescriptionInPieces,
} from "../../lib/transfer/send.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import type { IncomingBody } from "../../lib/wire/body.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { GetReply } from "../../lib/wire/operations/get.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { Wire } from "../../lib/wire/frames.ts";
import type { Connection } from "./connection.ts";
import type { EarlyRefusal } from "./early_refusal.ts";
import { type FileToPut, putHeader } from "./file_requests.ts";
import { assertAnswers, assertStored, type RequestHeader } from "./reply_check.ts";
import type { RequestChannel } from "./request_channel.ts";

/** The version of a file on the server that a transfer builds upon. */
export interface RemoteVersion {
  /** The name on the server. */
  readonly filename: string;
  /** The version, as the server named it. */
  readonly version: string;
}

/**
 * Uploads a file as a recipe: what of it to copy from another file on the server, and what is not in that one.
 *
 * @param recipe the encoded recipe, of `length` bytes
 * @param options.whole the checksum of the whole file
 * @throws {FerryError} the server's error; `checksum_mismatch` where what was made of it is another file; what the
 * recipe and `whole` fail with
 */
export async function putRecipe(
  { channel }: Connection,
  request: FileToPut,
  basis: RemoteVersion,
  recipe: ByteSource,
  { length, whole, onBytes }: { length: number; whole: Promise<Checksum>; onBytes: OnBytes },
): Promise<PutReply> {
  const { algorithm } = request;
  return await sendRecipe(channel, request, basis, async (wire, header, refusal) => {
    const stop = () => refusal.error;
    const options = { size: length, whole, algorithm, onBytes, stop };
    return await sendDescription(wire, header, recipe, options);
  });
}

/**
 * Like {@linkcode putRecipe}, with pieces of the recipe that are sent as soon as they have been made.
 *
 * @throws {FerryError} as {@linkcode putRecipe}
 */
export async function putRecipeInPieces(
  { channel }: Connection,
  request: FileToPut,
  basis: RemoteVersion,
  pieces: AsyncIterable<Uint8Array>,
  options: Omit<PiecesOptions, "algorithm">,
): Promise<PutReply> {
  const { algorithm } = request;
  return await sendRecipe(channel, request, basis, async (wire, header, refusal) => {
    const sent = refusal.until(pieces);
    return await sendDescriptionInPieces(wire, header, sent, { ...options, algorithm });
  });
}

/** @param send sends the header and the recipe, and returns the checksum of the whole file */
async function sendRecipe(
  channel: RequestChannel,
  request: FileToPut,
  basis: RemoteVersion,
  send: (wire: Wire, header: RequestHeader, refusal: EarlyRefusal) => Promise<Checksum>,
): Promise<PutReply> {
  const header = {
    ...putHeader({ ...request, checksum: null }),
    basis: basis.filename,
    basis_version: basis.version,
  };
  let checksum: Checksum | undefined;
  const reply = await channel.send(OPERATIONS.put.reply, header, async (wire, refusal) => {
    checksum = await send(wire, header, refusal);
  });
  if (!reply.unchanged) assertStored(reply, { checksum: checksum!, size: request.size! });
  return reply;
}

/**
 * Downloads parts of a file.
 *
 * @param ranges the parts, in bytes
 * @param take receives what the server says about the file, and the bytes of the ranges, one after another. The checksum
 * of that body is the one of the whole file
 * @throws {FerryError} the server's error; `bad_header` where the server sends something else; what `take` fails with
 */
export async function getRanges<T>(
  { channel, runtime }: Connection,
  { filename, version }: RemoteVersion,
  { algorithm, ranges }: { algorithm: Algorithm; ranges: Ranges },
  take: (file: GetReply, body: IncomingBody) => Promise<T>,
): Promise<T> {
  const body = ranges.encoded;
  const checksum = await runtime.digests.checksumOf(algorithm, body);
  const keys = { ...checksumKeys(algorithm, checksum), total_size: body.length };
  const header = { op: "get", filename, version, ...keys };
  return await channel.fetch(header, async (reply) => {
    assertAnswers(header, reply.header);
    const file = parseReply(OPERATIONS.get.reply, reply.header);
    if (!file.ranges || reply.body.size !== BigInt(ranges.size)) {
      const reason = "the server sends another part of the file than was asked for";
      throw new FerryError("bad_header", reason);
    }
    return await take(file, reply.body);
  }, body);
}
