/**
 * Whether a reply answers its request. A server that knows no checksums of headers sends none, and what was
 * damaged on its way shows by what both of them tell.
 *
 * @module
 */

import type { GetReply } from "../../lib/wire/operations/get.ts";
import type { OfferReply, PutReply } from "../../lib/wire/operations/put.ts";
import { algorithmOf, type Checksum, sameChecksum } from "../../lib/core/checksum.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { throwReported } from "../../lib/wire/error_reply.ts";
import type { Header } from "../../lib/wire/codec.ts";
import type { Verified } from "../../lib/transfer/receive.ts";
import type { IncomingBody } from "../../lib/wire/body.ts";

/** The keys of a request. */
export type RequestHeader = Readonly<Record<string, unknown>>;

/**
 * Fails where a reply is not about the name that the request is about, or tells another kind of checksum.
 *
 * @throws {FerryError} the error that the reply reports, or `bad_header`
 */
export function assertAnswers(request: RequestHeader, reply: Header): void {
  throwReported(reply, "server");
  const name = request.to ?? request.filename;
  const { filename, checksum } = reply;
  if (name !== undefined && filename !== name) {
    const told = typeof filename === "string" ? quote(filename) : "no name at all";
    throw new FerryError("bad_header", `the server answers for ${told}`);
  }
  // Only that of a file that follows is there in any case, if not always known yet.
  const told = checksum === null && request.op !== "get" ? undefined : reply.algorithm;
  const [asked] = typeof request.checksum === "string" ? request.checksum.split(":") : ["md5"];
  if (told !== undefined && told !== asked) {
    throw new FerryError("bad_header", `the server tells ${told}, and ${asked} was asked for`);
  }
}

/**
 * Fails where the server says that it has a file which is not the one that was offered.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertHas(offer: RequestHeader, { decision, checksum }: OfferReply): void {
  const offered = offer.md5 ?? offer.checksum;
  // Behind `newer` there may be another content, and a name alone of an algorithm is no checksum.
  if (decision !== "have" || offer.overwrite === "newer" || checksum === null) return;
  if (typeof offered !== "string" || !algorithmOf(offered)) return;
  if (sameChecksum(offered, checksum)) return;
  const reason = `the server has ${checksum}, and ${offered} was offered`;
  throw new FerryError("checksum_mismatch", reason);
}

/**
 * Fails where the server has not got what was sent.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertStored(reply: PutReply, sent: Verified): void {
  const same = sameChecksum(reply.checksum, sent.checksum) && reply.size === sent.size;
  if (same) return;
  throw new FerryError(
    "checksum_mismatch",
    `the server has ${reply.size} bytes, ${reply.checksum}, and ${sent.size} bytes, ` +
      `${sent.checksum}, were sent`,
  );
}

/**
 * Fails where a reply of lines is not streamed: a length that was damaged could stand for none at all.
 *
 * @throws {FerryError} `bad_header`
 */
export function assertStreamed({ size }: IncomingBody): void {
  if (size === null) return;
  throw new FerryError("bad_header", `the server announces ${size} bytes of lines, and no end`);
}

/**
 * Fails where the server has compared other files than it was asked about. Older servers do not tell.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertCompared({ closing }: IncomingBody, sent: Checksum): void {
  const compared = closing?.compared;
  if (compared === undefined || typeof compared === "string" && sameChecksum(compared, sent)) {
    return;
  }
  throw new FerryError("checksum_mismatch", "the server has compared other files than these");
}

/**
 * Fails where the body of a file begins elsewhere than in front, and not behind what the client has.
 *
 * @throws {FerryError} `bad_header`
 */
export function assertBegins({ offset }: GetReply, has = 0): void {
  if (offset === 0 || offset === has) return;
  throw new FerryError("bad_header", "the server goes on where nobody asked it to");
}

/** The keys of a request for a range of a file. */
export interface Range {
  /** The first byte. */
  start: number;
  /** How many bytes at most; all behind the first one where it is absent. */
  count?: number;
}

/**
 * Fails where the body of a file is not the range that was asked for.
 *
 * @returns how many bytes the range has
 * @throws {FerryError} `bad_header`
 */
export function assertRange(reply: GetReply, { start, count = Infinity }: Range): number {
  const { size } = reply;
  const first = Math.min(start, size);
  if (reply.start === first) return Math.min(count, size - first);
  throw new FerryError(
    "bad_header",
    "the server sends another part of the file than was asked for",
  );
}
